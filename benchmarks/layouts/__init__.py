"""How long packs run with separate, stacked, grouped and block-diagonal branches."""
