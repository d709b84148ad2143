"""`dumont jobs`: a script here runs on a rented GPU, and what it prints and leaves comes back."""
