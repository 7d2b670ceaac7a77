"""Predictions of theory beside Monte Carlo, one family a file."""
