"""The parts of the page, one subject a file."""
