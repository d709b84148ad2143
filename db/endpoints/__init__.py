"""Deployments and endpoints."""
