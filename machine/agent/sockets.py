"""How many bytes went through each TCP connection of this machine, asked of the kernel (netlink sock_diag).

There is no such count per process in /proc. Connections of the machine with itself are left out.
"""

from __future__ import annotations

import socket
import struct
from typing import Iterator

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_REQUEST_DUMP, NLMSG_ERROR, NLMSG_DONE = 4, 20, 0x301, 2, 3
WITH_TCP_INFO = 1 << 1
ESTABLISHED_OR_CLOSING = 0xFFF & ~(1 << 10)
"""All states but listening."""
TCP_INFO = 2
HEADER, MESSAGE, BYTES = struct.Struct("=IHHII"), struct.Struct("=4BHH16s16sI8s5I"), struct.Struct("=QQ")
BYTES_AT = 120
"""Of `bytes_acked` and `bytes_received` in the kernel's struct tcp_info."""
ATTRIBUTE = struct.Struct("=HH")
V4_IN_V6 = b"\0" * 10 + b"\xff\xff"


def traffic() -> dict[int, int]:
    """Bytes in both directions by the inode of the socket. Empty where the kernel does not say."""
    found: dict[int, int] = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found.update(_ask(family))
        except (OSError, struct.error):
            continue
    return found


def _ask(family: int) -> dict[int, int]:
    found: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as line:
        line.settimeout(2)
        query = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, WITH_TCP_INFO, 0, ESTABLISHED_OR_CLOSING) + b"\0" * 48
        line.send(HEADER.pack(HEADER.size + len(query), SOCK_DIAG_BY_FAMILY, NLM_REQUEST_DUMP, 1, 0) + query)
        while True:
            for kind, body in _messages(line.recv(1 << 18)):
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return found
                inode, count = _connection(family, body)
                if inode and count:
                    found[inode] = count


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER.size <= len(data):
        length, kind = HEADER.unpack_from(data, at)[:2]
        yield kind, data[at + HEADER.size : at + length]
        at += max(HEADER.size, (length + 3) & ~3)


def _connection(family: int, body: bytes) -> tuple[int, int]:
    """(inode, bytes); 0 bytes for a connection of the machine with itself."""
    fields = MESSAGE.unpack_from(body)
    peer, inode = fields[7], fields[-1]
    at = MESSAGE.size
    while at + ATTRIBUTE.size <= len(body) and not _is_loopback(family, peer):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        if kind == TCP_INFO and length >= ATTRIBUTE.size + BYTES_AT + BYTES.size:
            return inode, sum(BYTES.unpack_from(body, at + ATTRIBUTE.size + BYTES_AT))
        at += max(ATTRIBUTE.size, (length + 3) & ~3)
    return inode, 0


def _is_loopback(family: int, peer: bytes) -> bool:
    if family == socket.AF_INET:
        return peer[0] == 127
    return peer == b"\0" * 15 + b"\1" or (peer[:12] == V4_IN_V6 and peer[12] == 127)
