"""One file an architecture family: where its MLP output projection lies and how it is oriented."""
