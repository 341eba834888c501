"""The promise of extractive question answering: every answer stands in its context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tasks.errors import DataError
from tasks.readers.reader import LeftOut

Unanswerable = Literal["error", "drop"]


def no_answer(where: str, unanswerable: Unanswerable, option: str) -> DataError:
    """What a question without an answer is: a bad record, or left out and counted (`drop`).

    Args:
        option: the card's key that says so.
    """
    if unanswerable == "drop":
        return LeftOut(where, "unanswerable")
    return DataError(
        where, "an unanswerable question", "at least one answer",
        f"{option}: drop in the card leaves such questions out",
    )  # fmt: skip


def check_answers(
    context: str, texts: Sequence[Any], starts: Sequence[Any], where: str
) -> dict[str, list[Any]]:
    """Returns the `answers` column of a question.

    Nothing is repaired: moving an answer to where its text occurs would change a label silently.

    Args:
        starts: offsets into `context`, in characters (Unicode code points).

    Raises:
        DataError: no answer, or a text that is not exactly at its offset.
    """
    if not texts or len(texts) != len(starts):
        raise DataError(
            where, f"{len(texts)} answer texts and {len(starts)} offsets",
            "at least one answer, each with its offset",
            "unanswerable questions are not part of this task",
        )  # fmt: skip
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            raise DataError(where, f"answer {text!r} at {start!r}", "a text and a whole number")
        there = context[max(start, 0) : max(start, 0) + len(text)]
        if not text.strip() or start < 0 or there != text:
            raise DataError(
                where, f"answer {text[:60]!r} is not at offset {start}, but {there[:60]!r}",
                "a visible text exactly there", "correct answer_start",
            )  # fmt: skip
    return {"text": list(texts), "start": list(starts)}


def nearby(context: str, text: str, start: int, within: int) -> int:
    """Where the text stands, if it is one place at most `within` characters from `start`.

    Else `start` as it is, so that `check_answers` tells what is wrong.
    """
    if start >= 0 and context[start : start + len(text)] == text:
        return start
    first, last = max(start - within, 0), min(start + within, len(context))
    places = [place for place in range(first, last + 1) if context.startswith(text, place)]
    return places[0] if text and len(places) == 1 else start
