"""The embedded Triton: the same `tritonserver` as in production, as a child of this process."""
