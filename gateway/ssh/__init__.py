"""SSH to instances: a port and a host key for life, login by key, wake, and the machine behind it."""
