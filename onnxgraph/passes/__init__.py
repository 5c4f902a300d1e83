"""Passes that bring a graph into normal form, one a file."""
