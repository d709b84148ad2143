"""The REST layer: checks who asks, writes wishes to rows, starts and queries workflows, reads records."""

VERSION = "0.1.0"
SERVICE = "dumont-cloud"
