"""The command line of Slice-and-Pack: one file per noun."""
