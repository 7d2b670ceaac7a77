"""Value transforms: what may be done to a solved value vector before a rule writes it."""
