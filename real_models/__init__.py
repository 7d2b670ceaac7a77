"""Transformer MLPs under the same update rules: value solves, sequential runs, measurements."""
