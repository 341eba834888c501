"""The bounds of what a run can have measured, for every reader of run folders.

A run folder may come from a stranger, and a number without bounds stops whatever counts with it: a
whole table for the sake of one folder.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

METRIC = (0, 1)
AMOUNT = (0, 2**60 - 1)  # of anything that is counted: 64 bits hold the sum of several
NUMBER = (-1e100, 1e100)  # of any other: its square is still a number
DEEPEST = 50  # dicts and lists in one another

Metric = Annotated[float, Field(ge=METRIC[0], le=METRIC[1])]
Count = Annotated[int, Field(ge=AMOUNT[0], le=AMOUNT[1])]
Seconds = Annotated[float, Field(ge=AMOUNT[0], le=AMOUNT[1])]
Number = Annotated[float, Field(ge=NUMBER[0], le=NUMBER[1])]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def out_of_bounds(data: object) -> str | None:
    """What is wrong with free-form plain data; None if nothing.

    A number beyond `NUMBER`, too much depth, or half a character, which no encoding can write.
    """
    left = [(data, 0)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list):
            if depth == DEEPEST:
                return "is nested too deeply"
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            left += [(each, depth + 1) for each in inner]
        elif isinstance(value, str):
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                return "holds half a character"
        elif isinstance(value, int | float) and not NUMBER[0] <= value <= NUMBER[1]:
            return "holds a number that is out of all bounds"
    return None
