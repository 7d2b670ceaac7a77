"""T1 and T2: one identity for every write, and the published rules as its cases."""
