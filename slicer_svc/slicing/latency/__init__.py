"""Time: what every node of a model takes on this machine, and what a fragment would take."""
