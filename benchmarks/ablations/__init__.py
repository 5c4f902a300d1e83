"""What each choice of the default way of slicing is worth, one lever at a time."""
