"""Where things are on the machine."""

import os

FOLDER = os.environ.get("DUMONT_COPYING_FOLDER", "/var/lib/dumont")
"""No part of the persisted paths: snapshots hold only the manifest of it. Measurements use another folder."""

MANIFEST = FOLDER + "/manifest.jsonl"
"""Always the same path, so that restic finds the snapshot before this one."""

CACHE = FOLDER + "/restic-cache"
JOBS = FOLDER + "/jobs"
LOCK = FOLDER + "/lock"
"""Locked by the transfer that works."""

STAGE = ".dumont-restoring"
REPLACED = ".dumont-before-restore"
