"""From fragments to one proven pack: features, heads, merge and proof. Pure domain code."""
