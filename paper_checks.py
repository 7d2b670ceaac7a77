"""The claims of all rooms, run and accounted for."""
