"""The paper's tables and figures beside ours, from the documents of runs."""
