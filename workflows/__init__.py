"""The user flows, one file each, readable aloud. Deterministic: everything outside happens in activities."""
