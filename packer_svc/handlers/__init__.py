"""What runs behind the packer's operations, one handler a file."""
