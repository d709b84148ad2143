"""The API and the state behind it."""
