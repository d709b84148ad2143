"""What is rented, and taking it over again after a restored backup."""
