"""The experiments of the Slice-and-Pack paper, run again with this code."""
