"""The environment that a user gives to machines. Users put tokens there, so it is sealed at rest."""

from db.sealing import Sealer

PURPOSE = "instance-env"


def seal_env(sealer: Sealer, env: dict[str, str]) -> str | None:
    return sealer.seal_env(env, PURPOSE)


def open_env(sealer: Sealer, sealed: str | None) -> dict[str, str]:
    return sealer.open_env(sealed, PURPOSE)
