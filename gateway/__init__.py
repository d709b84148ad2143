"""The data path: what callers of an endpoint speak to. Knows rows and machines, never the workflows behind them."""
