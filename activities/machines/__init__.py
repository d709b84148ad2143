"""Machines at their clouds and over SSH."""
