"""Markets."""
