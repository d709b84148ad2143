"""Machines that are real: a process tree with its own root folder, network, SSH server and ports."""
