"""Drills that can be repeated; the examples lie beside the code."""
