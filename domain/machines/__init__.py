"""Machines and leases."""
