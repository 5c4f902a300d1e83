"""By what a class's units are chosen: one file per criterion, one seam (`evidence.py`)."""
