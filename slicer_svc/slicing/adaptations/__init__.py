"""How a sliced network makes up for its dropped units: one file per way, one seam (`site.py`)."""
