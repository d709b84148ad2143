"""Jobs, their output and files."""
