"""Slicing: which units of a model each class needs, and how the rest is made up for."""
