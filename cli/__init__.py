"""The `dumont` command: starts an installation, looks after it, and talks to its REST API."""
