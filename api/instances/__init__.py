"""Instances that somebody works on."""
