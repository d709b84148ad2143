"""Everything comes back the same, on another machine, through the real vault."""

import base64

from tests.vault.world import World, perform

FILL = r"""
import os, random, stat
random.seed(7)
os.chdir("/workspace")
for folder in range(100):
    os.makedirs(f"small/{folder}")
    for number in range(100):
        with open(f"small/{folder}/{number}", "wb") as file:
            file.write(random.randbytes(random.randrange(400)))
with open("large", "wb") as file:
    for _ in range(30):
        file.write(random.randbytes(1 << 20))
with open("sparse", "wb") as file:
    file.seek(64 << 20); file.write(b"end")
os.symlink("large", "link"); os.symlink("/nowhere/at all", "dangling")
os.link("large", "hard"); os.link("large", "small/hard")
odd = [b"new\nline", b"-rf", b"--", b" spaces ", "ünïcödé 日本".encode(), b"not \xff utf8", b"[a-z]*?", b"back\\slash"]
for name in [*odd, b"'\"$HOME`"]:
    with open(name, "wb") as file:
        file.write(name)
for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o1777):
    with open(f"mode {mode:o}", "w"): pass
    os.chmod(f"mode {mode:o}", mode)
os.chown("mode 644", 1234, 5678)
os.mkdir("empty"); os.mkdir("closed"); os.chmod("closed", 0o700); os.mkfifo("pipe")
os.makedirs("cache/deep")
open("cache/CACHEDIR.TAG", "w").write("Signature: 8a477f597d28d172789f06886806bc55\n")
open("cache/deep/rubbish", "w").write("x")
os.makedirs("__pycache__"); open("__pycache__/x.pyc", "w").write("x")
os.utime("large", ns=(10**18, 10**18 + 123456789)); os.utime("empty", ns=(10**18, 10**18 + 1))
"""
LIST = r"""
import hashlib, os, stat
for here, folders, files in os.walk(b"/workspace"):
    folders.sort()
    for name in sorted(folders + files) + [b"."]:
        path = os.path.join(here, name); seen = os.lstat(path); kind = stat.S_IFMT(seen.st_mode)
        what = [repr(path), oct(seen.st_mode), seen.st_uid, seen.st_gid]
        if kind != stat.S_IFLNK: what.append(seen.st_mtime_ns)
        if kind == stat.S_IFLNK: what.append(os.readlink(path))
        if kind == stat.S_IFREG: 
            what += [seen.st_size, seen.st_nlink, hashlib.sha256(open(path, "rb").read()).hexdigest()]
        print(*what)
"""


def python(program: str) -> str:
    return f"echo {base64.b64encode(program.encode()).decode()} | base64 -d | python3"


async def test_a_workspace_of_all_kinds_comes_back_the_same_on_another_machine(world: World) -> None:
    machine = await world.machine()
    await world.say(machine, python(FILL))
    before = await world.say(machine, f"{python(LIST)} > /tmp/list; sha256sum /tmp/list; wc -l < /tmp/list")
    before_list = await world.say(
        machine, "grep -v pycache /tmp/list | grep -v rubbish | grep -v cache/deep | sha256sum"
    )
    snapshot_id, taken = await world.taken(machine)
    assert taken.files > 10_000
    row = await world.row(snapshot_id)
    assert row.verified
    await world.close_lease(machine)

    other = await world.machine(machine.instance_id)
    restored = await perform(world.restores.restore, await world.restore_in_place(other, snapshot_id))
    after_list = await world.say(
        other, f"{python(LIST)} | grep -v pycache | grep -v rubbish | grep -v cache/deep | sha256sum"
    )
    assert after_list == before_list, before
    assert restored.files == 10_020
