"""What is for rent."""
