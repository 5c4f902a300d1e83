"""The history of the packer's tables, run at every start."""
