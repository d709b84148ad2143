"""The /simulator routes."""
