"""Worker processes: whatever parses or runs what a client sent happens in one of them.

Nothing is imported here: the child process starts by importing this package.
"""
