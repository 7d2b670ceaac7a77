"""What a reader sees: figures drawn from result files only."""
