"""Tests of the simulator, each against a real process of it."""
