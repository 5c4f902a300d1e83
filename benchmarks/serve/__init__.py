"""How fast packs are served, against their full originals in the same Triton."""
