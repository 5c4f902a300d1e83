"""How long slicing takes and what memory it needs."""
