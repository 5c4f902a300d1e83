"""Between the contracts and the packer's own data, in both directions."""
