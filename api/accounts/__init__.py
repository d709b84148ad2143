"""Users, logins and keys."""
