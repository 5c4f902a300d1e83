"""Experiments over a market of models: search, cloning, reassembly."""
