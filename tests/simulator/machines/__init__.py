"""The machines' own parts."""
