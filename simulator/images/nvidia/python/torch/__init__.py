"""A simulated torch: just enough to ask whether CUDA is there. It computes nothing."""

from . import cuda

__version__ = "2.6.0+simulated"
__all__ = ["cuda"]
