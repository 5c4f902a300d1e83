"""Slice-and-Pack beside its neighbours, on the same origins and samples."""
