"""A GPU to work on: create, look, log in, copy, let it sleep and wake it."""
