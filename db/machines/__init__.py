"""Leases and machines."""
