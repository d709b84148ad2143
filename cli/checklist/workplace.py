"""The instance that flow 3 works on: looked at, logged in to, given a file, and given back."""

from functools import partial
from typing import Any

from cli.checklist.expecting import Failed, check, text
from cli.checklist.terminal import Said, Terminal
from cli.checklist.tester import Tester

FILE = "/workspace/dumont-checklist.bin"
WRITE = f"mkdir -p /workspace && head -c 1000000 /dev/urandom > {FILE} && sha256sum {FILE}"
READ = f"sha256sum {FILE}"


def terminal(tester: Tester) -> Terminal:
    """The run's terminal; its public key is made known to the account at first."""
    made = tester.made
    if made.terminal is None:
        made.terminal = Terminal()
    if not made.ssh_key:
        body = {"name": "dumont checklist", "public_key": made.terminal.public_key}
        made.ssh_key = text(tester.ask("POST", "/api/ssh-keys", json=body, expect=(200, 201)), "id")
    return made.terminal


def first(tester: Tester) -> int:
    """The id of the instance that is worked on."""
    return tester.made.instances[0]


def seen(tester: Tester, instance_id: int) -> dict[str, Any]:
    return tester.get(f"/api/instances/{instance_id}")


def await_status(tester: Tester, instance_id: int, *wanted: str, after_minutes: float = 0.0) -> dict[str, Any]:
    """The instance once it has one of these statuses; one that is over otherwise fails the row.

    `after_minutes`: what has to pass anyway, before the deadline begins.
    """

    def there() -> dict[str, Any] | None:
        body = seen(tester, instance_id)
        if body["status"] in wanted:
            return body
        check(body["status"] not in ("failed", "destroyed"), f"status {body['status']}: {body.get('message')}")
        return None

    return tester.wait_for(" ou ".join(wanted), there, after_seconds=after_minutes * 60)


def over_ssh(tester: Tester, instance_id: int, command: str) -> Said:
    """What a command said on the instance, by its address of this moment."""
    return terminal(tester).run(seen(tester, instance_id), command, tester.deadline_seconds)


def leave_a_file(tester: Tester) -> str:
    """A file of random bytes in /workspace, once a run; its SHA-256."""
    if not tester.made.sha256:
        output = over_ssh(tester, first(tester), WRITE).output
        check(len(output.split()[0]) == 64, f"sha256sum respondeu: {output[:200]}")
        tester.made.sha256 = output.split()[0]
    return tester.made.sha256


def check_the_file(tester: Tester, instance_id: int) -> Said:
    """Its content is what it was."""
    said = over_ssh(tester, instance_id, READ)
    expected = tester.made.sha256
    check(said.output.startswith(expected), f"{FILE} mudou: {said.output[:80]!r} em vez de {expected}")
    return said


def give_back(tester: Tester) -> list[str]:
    """Destroys the instances and their snapshots, removes the key; what could not be done."""
    made = tester.made
    steps = {f"a instância {number} não foi destruída": partial(destroy, tester, number) for number in made.instances}
    if made.ssh_key:
        steps["a chave SSH não foi removida"] = partial(remove_key, tester)
    problems = []
    for otherwise, step in steps.items():
        try:
            step()
        except Failed as failed:
            problems.append(f"{otherwise}: {failed}")
    if made.terminal:
        made.terminal.close()
    return problems


def destroy(tester: Tester, number: int) -> None:
    """Asked, and seen to be so; one that failed holds no machine either."""
    path = f"/api/instances/{number}"
    tester.ask("DELETE", path, params={"delete_snapshots": "true"}, expect=(200, 202, 204))
    over = ("destroyed", "failed")
    tester.wait_for("destroyed", lambda: body if (body := tester.get(path))["status"] in over else None)


def remove_key(tester: Tester) -> None:
    tester.ask("DELETE", f"/api/ssh-keys/{tester.made.ssh_key}", expect=(200, 202, 204))
