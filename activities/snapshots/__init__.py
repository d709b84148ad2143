"""Snapshots, taken and restored."""
