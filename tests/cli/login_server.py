"""A real SSH server with a host key of its own, whose commands run in real shells on this computer."""

import asyncio
import threading

import asyncssh


class LoginServer:
    """Lets the bearer of one key in; runs in a thread, since the tests wait for real `ssh` programs."""

    def __init__(self, public_key: str) -> None:
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._public_key = public_key
        self.host_key = self._key.export_public_key().decode().strip()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)

    def _run(self) -> None:
        server = self._loop.run_until_complete(self._listen())
        self._up.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())
        self._loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._key],
            authorized_client_keys=asyncssh.import_authorized_keys(self._public_key),
            process_factory=_shell,
            sftp_factory=_Files,
            encoding=None,
        )
        self.port = server.get_port()
        return server


class _Files(asyncssh.SFTPServer):
    def exit(self) -> None:
        """As OpenSSH's server does; without an exit status scp takes a good copy for a failed one."""
        self.channel.exit(0)


async def _shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_shell(process.command or "true", stdin=pipe, stdout=pipe, stderr=pipe)
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    code = await child.wait()
    await process.stdout.drain()
    process.exit(code)
    await process.wait_closed()
