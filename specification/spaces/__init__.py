"""The spaces that samples are compared in: fixed, so that nobody has to tell another how."""
