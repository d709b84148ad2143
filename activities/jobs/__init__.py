"""Jobs on their machines, and what they leave."""
