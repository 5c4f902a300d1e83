"""Entry points of the packer's workers: whatever runs fragments.

Requests and answers are plain JSON; graphs, samples and proofs pass as files.
"""
