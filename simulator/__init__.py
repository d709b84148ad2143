"""A simulated Vast.ai on this computer: its REST API, its market, and real machines behind it.

The package stands alone (``python -m simulator``) and imports nothing of the rest of the project. Wherever it shows
itself to a person it says that it is simulated.
"""
