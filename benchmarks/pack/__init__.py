"""How long packing takes, and what its heads are worth."""
