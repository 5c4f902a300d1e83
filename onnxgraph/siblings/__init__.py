"""Linear layers of one kind that stand side by side in a graph, and ways to run them as one."""
