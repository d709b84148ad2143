"""What flows do to the world: one file per outside thing, one effect per activity, safe to run twice."""
