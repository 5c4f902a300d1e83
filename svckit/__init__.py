"""What any gRPC service of Slice-and-Pack needs: errors, servers, operations, artifacts, workers.

Nothing here imports torch, onnx or onnxruntime, and nothing here knows what a model is.
"""
