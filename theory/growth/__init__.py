"""T3: growth under values in proportion to the read-out, for any law of keys."""
