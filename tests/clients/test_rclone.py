"""What rclone writes for us is there whole or not at all."""

import asyncio
import os
from pathlib import Path

import pytest

from clients import rclone
from tests.patience import becomes


async def test_a_file_is_written_whole_and_over_another(tmp_path: Path) -> None:
    for content in (b"one", b"two", b""):
        await rclone.write(f"{tmp_path}/below/file", content)
        assert (tmp_path / "below" / "file").read_bytes() == content
    assert os.listdir(tmp_path / "below") == ["file"]


async def test_a_write_that_is_broken_off_leaves_no_file_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begun() -> bool:
        return any(files for _, _, files in os.walk(tmp_path))

    monkeypatch.setenv("RCLONE_BWLIMIT", "1k")  # so that it is in the middle of it
    writing = asyncio.create_task(rclone.write(f"{tmp_path}/below/file", bytes(1 << 20)))
    await becomes(begun, True)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert "file" not in os.listdir(tmp_path / "below")


@pytest.mark.parametrize("remote", [False, True])
async def test_what_is_in_a_folder_and_what_is_none(
    remote: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of ours is read by ourselves, and both ways say the same."""
    monkeypatch.setenv("RCLONE_CONFIG_KEPT_TYPE", "alias")
    monkeypatch.setenv("RCLONE_CONFIG_KEPT_REMOTE", str(tmp_path))
    above = "kept:" if remote else f"{tmp_path}/"
    await rclone.write(f"{above}a/one", b"1")
    await rclone.write(f"{above}a/two", b"2")
    (tmp_path / "empty").mkdir()
    assert sorted(await rclone.names(f"{above}a") or []) == ["one", "two"]
    assert await rclone.names(f"{above}empty") == []
    assert await rclone.names(f"{above}none") is None


async def test_a_folder_that_cannot_be_read_is_not_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(rclone.RcloneFailed, match="Not a directory"):
        await rclone.names(str(tmp_path / "file"))


async def test_a_store_that_hangs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that lists nothing and does not end stands for a mount whose server is gone."""
    hanging = tmp_path / "ls"
    hanging.write_text("#!/bin/sh\nexec sleep 987\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(rclone, "ANSWER_SECONDS", 0.2)
    with pytest.raises(rclone.RcloneFailed, match="no answer"):
        await rclone.names(str(tmp_path))
