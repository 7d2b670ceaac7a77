"""Linear associative memories under the field's update rules: the algebra of editors, streams, Monte Carlo."""
