"""Model servers on machines."""
