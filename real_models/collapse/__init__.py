"""The collapse experiment: its comparisons, its record, where streams collapse, and what was foretold of it."""
