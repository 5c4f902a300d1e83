# NVIDIA's Triton with the ONNX Runtime backend alone: what packs do not need cannot be loaded or attacked.
# The base is NVIDIA's own image, or a mirror's; the layers below keep their size.
ARG TRITON=nvcr.io/nvidia/tritonserver:24.10-py3
FROM ${TRITON}
USER 0
RUN find /opt/tritonserver/backends -mindepth 1 -maxdepth 1 ! -name onnxruntime -exec rm -r {} +
USER 10001:10001
