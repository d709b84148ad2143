"""One HTTP request over one SSH channel; the standard library reads the answer."""

import http.client
import io
from typing import Any

import asyncssh

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of head and body together; more is an error."""


async def get(
    reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes], path: str, headers: dict[str, str]
) -> tuple[int, bytes]:
    """GET `path` and read the answer to its end: (status, body).

    Raises:
        ValueError: what came back is not HTTP, is cut short, or is longer than `MAX_ANSWER`.
    """
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in a request line or header")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    raw = bytearray()
    while chunk := await reader.read(65536):
        raw += chunk
        if len(raw) > MAX_ANSWER:
            raise ValueError(f"an answer of more than {MAX_ANSWER} bytes")
    return _parse(bytes(raw))


def _parse(raw: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Received(raw))  # type: ignore[arg-type]  # only makefile is used
    try:
        response.begin()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ValueError(f"not a whole HTTP answer: {type(error).__name__}") from error


class _Received:
    """Bytes already here, in the one form of a socket that `http.client` asks for."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._raw)
