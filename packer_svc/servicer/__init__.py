"""The packer's gRPC services, one file each."""
