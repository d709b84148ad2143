"""Where things are on the machine."""

FOLDER = "/var/lib/dumont"
"""Outside of what persists: nothing here is part of a snapshot but the manifest."""

MANIFEST = FOLDER + "/manifest.jsonl"
"""Always the same path, so that restic finds the snapshot before this one."""

CACHE = FOLDER + "/restic-cache"
JOBS = FOLDER + "/jobs"
TURN = FOLDER + "/turn"
"""Locked by the job that works: one at a time."""

STAGE = ".dumont-restoring"
ASIDE = ".dumont-before-restore"
