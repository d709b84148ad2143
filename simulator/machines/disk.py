"""Machines' disks with an end: an ext4 image per machine, mounted where its files are, so that writing more than was
rented fails with ENOSPC. It takes root on Linux, loop devices and mkfs.ext4; everywhere else disks have no end.

The mounts live in a mount namespace of the simulator's own: they are gone when it is, also after kill -9.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from simulator.machines.box import BootFailed

CLONE_NEWNS = 0x00020000
TOOLS = ("mkfs.ext4", "mount", "umount")


class Disks:
    """Raises BootFailed where there are no loop devices left or no such tools."""

    def mount(self, folder: Path, gigabytes: float) -> None:
        """The machine's disk at its folder, made the first time; without a journal, as it does not outlive a crash."""
        if os.path.ismount(folder):
            return
        image = _image(folder)
        if not image.exists():
            with image.open("wb") as file:
                file.truncate(int(gigabytes * 1e9))
            quick = ["-E", "lazy_itable_init=1,nodiscard", "-O", "^has_journal"]
            _run(["mkfs.ext4", "-q", "-F", "-m", "0", *quick, str(image)])
        _run(["mount", "-o", "loop", str(image), str(folder)])

    def remount(self, folder: Path) -> None:
        """After a restart of the simulator: what was there before, if anything was."""
        if _image(folder).exists():
            self.mount(folder, 0)

    def remove(self, folder: Path) -> None:
        if os.path.ismount(folder):
            _run(["umount", "-l", str(folder)])
        _image(folder).unlink(missing_ok=True)

    def use(self, folder: Path) -> tuple[float, float] | None:
        """Gigabytes used, and the part of the disk that this is."""
        if not os.path.ismount(folder):
            return None
        disk = os.statvfs(folder)
        used, size = (disk.f_blocks - disk.f_bfree) * disk.f_frsize, disk.f_blocks * disk.f_frsize
        return used / 1e9, used / size


def _image(folder: Path) -> Path:
    return folder.with_suffix(".disk")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if done.returncode:
        raise BootFailed(f"{command[0]}: {done.stderr.strip()}")


def enter_mount_namespace() -> str | None:
    """Before any thread begins: let mounts be this process's own. The reason, where disks cannot have an end."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists() or missing:
        return f"that takes root, loop devices and {', '.join(TOOLS)}"
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return os.strerror(ctypes.get_errno())
    _run(["mount", "--make-rprivate", "/"])
    return None
