"""Where the real vLLM keeps its programs."""
