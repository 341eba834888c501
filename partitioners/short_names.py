"""Names of labels and clients on one short line."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

SHORT = 28  # characters


def printable(text: str, most: int = SHORT) -> str:
    """On one line of at most `most` characters, without what XML or a font cannot show."""
    line = one_line(text)
    if len(line) <= most:
        return line
    tail = (most - 3) // 3  # names of one family differ at their end
    return f"{line[: most - 3 - tail]}...{line[-tail:]}"


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def distinct(names: Sequence[str], most: int = SHORT) -> list[str]:
    """Each as `printable`, but cut where they differ if that makes them alike, or numbered."""
    short = [printable(name, most) for name in names]
    alike: dict[str, list[int]] = {}
    for place, name in enumerate(short):
        alike.setdefault(name, []).append(place)
    for places in alike.values():
        lines = [one_line(names[place]) for place in places]
        start = _common_start(min(lines), max(lines))
        if len(places) > 1 and len(lines[0]) > most:
            for place, line in zip(places, lines, strict=True):
                short[place] = _cut_before(line, start, most)
    times, taken = Counter(short), set(short)
    for place, name in enumerate(short):
        if times[name] > 1:
            marks = (f" #{number}" for number in itertools.count(1))
            marked = (name[: most - len(mark)] + mark for mark in marks)
            short[place] = next(other for other in marked if other not in taken)
            taken.add(short[place])
    return short


def _common_start(first: str, last: str) -> int:
    """Characters that both begin with; of sorted lines the first and last decide for all."""
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(last)))


def _cut_before(line: str, start: int, most: int) -> str:
    """A line with its beginning and what comes from `start` on."""
    head = most // 4
    room = most - head - 3
    rest = line[start:] if len(line) - start > room else line[-room:]
    rest = rest if len(rest) <= room else f"{rest[: room - 3]}..."
    return f"{line[:head]}...{rest}"
