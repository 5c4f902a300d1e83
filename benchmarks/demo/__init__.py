"""The demo: three models of handwritten digits walk from submission to predictions by Triton."""
