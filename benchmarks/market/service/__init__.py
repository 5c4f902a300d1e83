"""How long a search takes of a running slicer that has many models."""
