"""T5: what anchored values (NAS) make of the norm."""
