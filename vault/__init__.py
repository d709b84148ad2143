"""The vault's door: rented machines put their snapshots through it, and fetch them back.

Who they are decides what opens. Behind it `rclone serve restic` keeps the objects, in a folder or in any store that
rclone knows; no key of that store ever leaves this process's side. Our own side (verify, forget, prune:
activities/snapshots/repositories.py) does not come through here.
"""
