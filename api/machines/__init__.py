"""What is rented, and what machines report."""
