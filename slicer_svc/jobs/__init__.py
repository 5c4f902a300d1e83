"""Entry points of the slicer's workers: whatever parses or runs a submitted model.

Requests and answers are plain JSON; graphs, samples and plans pass as files.
"""
