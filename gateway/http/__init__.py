"""The HTTP data path: requests to endpoints."""
