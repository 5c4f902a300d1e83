"""Serving: a Triton model repository, the embedded Triton and the reconciler that keeps them so."""
