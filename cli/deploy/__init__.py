"""`dumont deploy`: a model on a rented GPU, shown before it costs anything and while it comes up."""
