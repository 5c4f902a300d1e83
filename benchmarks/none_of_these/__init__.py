"""What the score is worth that an input belongs to no class of a pack."""
