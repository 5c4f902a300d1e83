"""Heads: what turns the features and class scores of all fragments into the pack's classes."""
