"""The packer: joins fragments into packs, proves them, and keeps the deployments."""
