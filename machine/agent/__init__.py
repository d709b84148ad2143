"""The agent of Dumont Cloud: a small program on each rented machine that says what happens there.

Standard library only, Python 3.8 or later, and nothing of the rest of the project: it is shipped as one file to
machines that have whatever Python their image has. What it sends and why is in docs/agent.md.
"""

VERSION = "1"
