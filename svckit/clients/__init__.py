"""The clients' side of the services: channels, errors, operations, artifacts."""
