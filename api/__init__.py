"""The REST layer: authenticates, writes what is wanted to rows, starts and queries workflows, reads records."""

VERSION = "0.1.0"
SERVICE = "dumont-cloud"
