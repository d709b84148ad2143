"""The agent of Dumont Cloud: a small program on each rented machine that reports what happens there.

It needs only the standard library of Python 3.8 or later, and nothing of the rest of the project: it is sent as one
file to machines with any Python. What it sends and why is in docs/agent.md.
"""

VERSION = "1"
