"""T7: what floating-point numbers do to writes and norms."""
