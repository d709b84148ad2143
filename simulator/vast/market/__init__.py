"""Hosts, their offers and prices, and who gets which GPUs."""
