"""The reconciler: makes one Triton serve what the packer desires, and reports what it does serve.

Level-triggered: it compares what should be with what is, and holds no state that it could not
rebuild from the packer, its repository and Triton itself.
"""
