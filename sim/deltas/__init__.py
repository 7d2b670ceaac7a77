"""Delta transforms: what may be done to an update after a rule has solved it."""
