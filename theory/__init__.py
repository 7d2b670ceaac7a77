"""What must be true of the norm of an edited weight: identities, growth, anchoring, each with its proof."""
