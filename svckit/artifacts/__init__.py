"""Artifacts: immutable bytes that are named by their SHA-256, on disk, in SQL and over gRPC."""
