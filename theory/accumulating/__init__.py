"""T3b: editors that remember their keys: a threshold and a saturation in place of an exponential."""
