"""What packs are compared with, on the same samples, views and test examples."""
