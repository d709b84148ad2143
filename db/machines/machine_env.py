"""The environment that a user gives to machines. Users put tokens there, so it is sealed at rest."""

import json

from db.sealing import Sealer

PURPOSE = "instance-env"


def seal_env(sealer: Sealer, env: dict[str, str]) -> str | None:
    return sealer.seal(json.dumps(env), PURPOSE) if env else None


def open_env(sealer: Sealer, sealed: str | None) -> dict[str, str]:
    return {} if sealed is None else dict(json.loads(sealer.open(sealed, PURPOSE)))
