"""T4: what clamps, ridges, filters, decay and pulls leave of the growth."""
