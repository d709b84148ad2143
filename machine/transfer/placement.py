"""Moves restored files into their place. Files that were there before and differ are kept in another folder.

Each file is moved by `rename`: at any moment it is the whole old or the whole new one. After a crash the same call goes
on where it stopped.
"""

from __future__ import annotations

import os
import shutil
import stat

from machine.transfer.kept import Kept, is_cache
from machine.transfer.places import REPLACED, STAGE
from machine.transfer.progress import Progress


class Placement:
    """`root`: the persisted path; `replaced`: how many files were there before and went to the other folder."""

    def __init__(self, root: str, when: str, kept: Kept, progress: Progress) -> None:
        self._root = root
        self._replaced_folder = os.path.join(root, REPLACED, when)
        self._kept = kept
        self._progress = progress
        self.replaced = 0

    def place(self, staged: str) -> None:
        """Put the staged copy of the path into its place."""
        if os.path.isdir(staged) and not os.path.islink(staged):
            self._folder(staged, self._root)
        else:
            os.replace(staged, self._root)

    def _folder(self, staged: str, real: str) -> None:
        coming, seen = os.listdir(staged), os.lstat(staged)  # before moving its files changes its times
        if not is_cache(staged):
            for name in set(os.listdir(real)) - set(coming):
                self._clear(os.path.join(real, name))
        for name in coming:
            self._one(os.path.join(staged, name), os.path.join(real, name))
        _copy_attributes(staged, seen, real)

    def _one(self, staged: str, real: str) -> None:
        new = os.lstat(staged)
        try:
            old = os.lstat(real)
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISDIR(new.st_mode) and stat.S_ISDIR(old.st_mode):
            return self._folder(staged, real)
        if old is not None and not _is_the_same(staged, new, real, old):
            self._clear(real)
        os.replace(staged, real)
        self._progress.advance(0, files=1)
        self._progress.check()

    def _clear(self, real: str) -> None:
        """Move what is in the way to the other folder, unless snapshots leave it out anyway."""
        if real in self._kept or os.path.ismount(real) or os.path.basename(real) in (STAGE, REPLACED):
            return
        target = os.path.join(self._replaced_folder, os.path.relpath(real, self._root))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.replace(real, target)
        self.replaced += 1


def _is_the_same(staged: str, new: os.stat_result, real: str, old: os.stat_result) -> bool:
    """As well as size and time can tell; such a file is simply overwritten."""
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        return False
    if stat.S_ISLNK(old.st_mode):
        return os.readlink(real) == os.readlink(staged)
    if stat.S_ISREG(old.st_mode):
        return old.st_size == new.st_size and old.st_mtime_ns == new.st_mtime_ns
    return True


def _copy_attributes(staged: str, seen: os.stat_result, real: str) -> None:
    """A folder's owner, mode, times and extended attributes."""
    os.chown(real, seen.st_uid, seen.st_gid)
    shutil.copystat(staged, real)
    os.utime(real, ns=(seen.st_atime_ns, seen.st_mtime_ns))
