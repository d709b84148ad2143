"""Where things are on the machine."""

import os

FOLDER = os.environ.get("DUMONT_COPYING_FOLDER", "/var/lib/dumont")
"""Outside of what persists: only the manifest is part of a snapshot. Another one is for measurements."""

MANIFEST = FOLDER + "/manifest.jsonl"
"""Always the same path, so that restic finds the snapshot before this one."""

CACHE = FOLDER + "/restic-cache"
JOBS = FOLDER + "/jobs"
TURN = FOLDER + "/turn"
"""Locked by the job that works: one at a time."""

STAGE = ".dumont-restoring"
ASIDE = ".dumont-before-restore"
