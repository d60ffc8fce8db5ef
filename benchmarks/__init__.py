"""Reproducible measurements of the simulator as a user runs it."""
