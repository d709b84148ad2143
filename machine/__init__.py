"""Our programs on rented machines. They use only the standard library; activities build and send them."""
