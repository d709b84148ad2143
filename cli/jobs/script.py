"""A script file as a job's body."""

from pathlib import Path

from cli.errors import CommandRefused

MAX_SCRIPT = 1 << 20
_INTERPRETERS = {".py": "#!/usr/bin/env python3", ".pl": "#!/usr/bin/env perl", ".js": "#!/usr/bin/env node"}


def read_script(path: Path) -> str:
    """The file's text; one without a first line `#!…` is run by what its name says, else by the shell."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CommandRefused(f"{path} is no text in UTF-8; a job runs scripts.") from None
    except OSError as error:
        raise CommandRefused(f"{path} cannot be read: {error.strerror}.") from None
    interpreter = _INTERPRETERS.get(path.suffix)
    script = text if text.startswith("#!") or interpreter is None else f"{interpreter}\n{text}"
    if len(script) > MAX_SCRIPT:
        raise CommandRefused(f"{path} has {len(script)} characters; a script may have {MAX_SCRIPT}.")
    return script


def assigned(pairs: tuple[str, ...]) -> dict[str, str]:
    """`NAME=value` options as an environment."""
    wrong = next((pair for pair in pairs if "=" not in pair), None)
    if wrong is not None:
        raise CommandRefused(f"--env takes NAME=value, not '{wrong}'.")
    return dict(pair.split("=", 1) for pair in pairs)
