"""Rented machines as Vast sees them: contracts, their states over time, and the machines behind them."""
