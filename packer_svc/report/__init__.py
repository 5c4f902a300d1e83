"""The proof of a pack as one page that needs nothing else: pure functions from JSON to HTML."""
