"""Commands are named by strings and loaded when they are called: each must be there."""

from cli.__main__ import app


def test_every_command_can_be_loaded() -> None:
    names = [name for name in app if not name.startswith("-")]
    assert {"up", "deploy", "orphans", "pause", "ssh-config"} <= set(names)
    for name in names:
        assert app[name].default_command is not None or list(app[name])
