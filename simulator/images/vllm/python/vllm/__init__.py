"""A simulated vLLM: it speaks the OpenAI protocol as vLLM does and makes its text up. Standard library only."""

__version__ = "0.11.0+simulated"
