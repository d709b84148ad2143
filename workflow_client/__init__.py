"""Starting workflows, and telling them that their rows changed."""
