"""A simulated Vast.ai: what it knows, and the API before it."""
