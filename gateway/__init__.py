"""The data path: callers of endpoints and SSH clients connect to it. It knows rows and machines, not workflows."""
