"""What runs behind the slicer's operations, one handler a file."""
