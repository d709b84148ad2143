"""Users, cloud accounts and keys."""
