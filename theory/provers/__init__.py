"""How steps of a proof are decided: trace algebra, z3, exact numbers, ball arithmetic, two routes."""
