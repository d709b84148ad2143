"""Who comes in, and with which keys."""
