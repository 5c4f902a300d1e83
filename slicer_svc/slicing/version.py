"""The version of the slicing method; imports nothing, so that a server can read it."""

METHOD_VERSION = "5"
"""Changes whenever the same model, samples and plan would give another fragment."""
