"""Faults planted in the formulas of theory, and whether a claim notices each."""
