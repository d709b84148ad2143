"""Vast's REST routes, one file per resource."""
