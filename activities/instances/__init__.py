"""Instances' rows, and the power of their machines."""
