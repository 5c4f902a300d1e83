"""Between the contracts and the slicer's own data, in both directions."""
