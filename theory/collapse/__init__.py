"""T6: from the norm to what can still be retrieved."""
