"""Damaged copies of a file: seeded, so that a failure can be repeated."""

from __future__ import annotations

import random

SNIPPETS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\n", b"\n\n", b" ", b"\t", b"\xc3",
    b"\xe2\x80\xa8", b"\x85", b"@subject\n", b"\n@ann0\n", b"@highlight\n", b" +++$+++ ", b"'L1'",
    b"\xed\xa0\x80", b"]", b'"', b",", b"0" * 300,
)  # fmt: skip


def mutated(content: bytes, seed: int) -> bytes:
    """Content with up to four cuts, copies, flips, drops or insertions."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(content))
        end = min(len(content), start + chance.choice((0, 1, 2, 8, 64, 4096)))
        head, part, tail = content[:start], content[start:end], content[end:]
        kind = chance.randrange(5)
        if kind == 0:
            content = head
        elif kind == 1:
            content = head + part + part + tail
        elif kind == 2:
            content = head + bytes(byte ^ 1 << chance.randrange(8) for byte in part) + tail
        elif kind == 3:
            content = head + tail
        else:
            content = head + chance.choice(SNIPPETS) + tail
    return content
