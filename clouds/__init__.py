"""The clouds behind one seam: what they offer, rent and list, their keys, their limits."""
