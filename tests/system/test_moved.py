"""An installation that is started again on other ports goes on with all it has, its rented machines too."""

from pathlib import Path

import pytest

from cli.up.ports import free_port
from tests.system.conftest import prepared
from tests.system.running import Running


@pytest.mark.long
async def test_machines_of_a_simulator_that_moved_are_served_and_given_back(tmp_path: Path) -> None:
    installation = prepared(tmp_path)
    installation.start()
    before = Running(installation)
    await before.register()
    deployment = await before.deploy()
    await before.ready(deployment["id"])
    await before.close()
    assert installation.stop() == 0
    installation.options = ("--simulator-port", str(free_port(None, set())))
    installation.start()
    after = Running(installation)
    try:
        assert after.addresses["simulator"] != before.addresses["simulator"]
        after.api.headers["Authorization"] = before.api.headers["Authorization"]
        await after.ready(deployment["id"])
        await after.stop(deployment["id"])
        await after.alive(0)
    finally:
        await after.close()
        installation.stop()
