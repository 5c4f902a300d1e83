"""The history of the slicer's tables, run at every start."""
