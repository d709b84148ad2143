"""The made-up text: honest about where it comes from, the same for the same prompt."""

import base64
import hashlib
import math
import struct
from collections.abc import Iterator

SENTENCES = (
    "This answer comes from the simulator, not from a language model.",
    "A simulated machine made these words up so that the way they travel can be tried.",
    "You asked about {topic}, and nobody here has thought about it.",
    "On a real GPU a real model would have answered in its own words.",
)
DIMENSIONS = 384


def words(prompt: str, most: int) -> list[str]:
    """At most ``most`` tokens (here: words with their leading space) about the prompt."""
    seed = hashlib.sha256(prompt.encode()).digest()[0]
    topic = " ".join(prompt.split()[-6:]) or "nothing"
    ordered = [SENTENCES[0], *(SENTENCES[1 + (seed + n) % 3] for n in range(3))]
    text = " ".join(ordered).format(topic=topic.replace("{", "").replace("}", ""))
    return [word if n == 0 else f" {word}" for n, word in enumerate(text.split())][: max(0, most)]


def count(text: str) -> int:
    return max(1, len(text.split()))


def embedding(text: str) -> list[float]:
    """A unit vector that depends on nothing but the text."""
    raw = [byte - 127.5 for byte in _bytes(text)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def _bytes(text: str) -> Iterator[int]:
    for block in range(DIMENSIONS // 32):
        yield from hashlib.sha256(f"{block}:{text}".encode()).digest()


def as_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
