"""Text that comes in pieces: where a piece may be cut without cutting a character."""


def whole_characters(data: bytes) -> int:
    """How many of the bytes to take so that no UTF-8 character is cut at the end. Bytes that are no UTF-8 are taken."""
    for back in range(1, min(4, len(data) + 1)):
        lead = data[-back]
        if lead & 0b1100_0000 == 0b1000_0000:
            continue
        needed = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return len(data) - back if needed > back and lead < 0xF8 else len(data)
    return len(data)
