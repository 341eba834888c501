"""What is wrong with a card, in one line: the first key, told as the card writes it."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import DataError

_KIND = "Input should be "


def one_line(
    where: str,
    model: type[BaseModel],
    error: ValidationError,
    data: Any,
    prefix: tuple[str, ...] = (),
) -> DataError:
    """The error that tells most of the first key that is wrong.

    Args:
        model: what was validated; its keys are those of an unknown key's line.
        data: its input.
        prefix: the keys above it.
    """
    first, expected = _closest(error.errors(), data)
    location = _keys(first, data)
    place = f"{where} {'.'.join((*prefix, *location))}".strip()
    if first["type"] == "missing":
        return DataError(place, "missing", "a value", "add the key")
    if first["type"] == "extra_forbidden":
        known = list(_section(model, location[:-1]).model_fields)
        close = difflib.get_close_matches(location[-1], known, 1)
        fix = f"did you mean {close[0]}?" if close else "remove it"
        return DataError(place, "unknown key", f"one of {', '.join(known) or '(none)'}", fix)
    if expected:
        return DataError(place, repr(first["input"])[:80], expected)
    message = first["msg"].removeprefix("Value error, ")
    return DataError(place, message[0].lower() + message[1:])


def _closest(errors: Sequence[ErrorDetails], data: Any) -> tuple[ErrorDetails, str]:
    """The first error, and the kind of value that is expected there, if that is what it is about.

    Where a value may be of several kinds there is an error for each: that of the kind which got
    furthest into the value counts, or all of them together.
    """
    plain = _plain(errors[0], data)
    if plain == len(errors[0]["loc"]):
        closest = [errors[0]]
    else:
        shared = errors[0]["loc"][:plain]
        union = [e for e in errors if e["loc"][:plain] == shared and len(e["loc"]) > plain]
        depth = max(len(_keys(e, data)) for e in union)
        closest = [e for e in union if len(_keys(e, data)) == depth]
    kinds = [e["msg"].removeprefix(_KIND) for e in closest if e["msg"].startswith(_KIND)]
    return closest[0], " or ".join(dict.fromkeys(kinds)) if len(kinds) == len(closest) else ""


def _plain(error: ErrorDetails, data: Any) -> int:
    """How many parts of its location, from the start, are keys and no name of an alternative."""
    return next(
        (n for n, (_, is_key) in enumerate(_parts(error, data)) if not is_key), len(error["loc"])
    )


def _keys(error: ErrorDetails, data: Any) -> tuple[str, ...]:
    """Its location in the data."""
    return tuple(part for part, is_key in _parts(error, data) if is_key and part != "[key]")


def _parts(error: ErrorDetails, data: Any) -> list[tuple[str, bool]]:
    """Every part of its location, and whether it is one of the data: a key, or that of a list.

    pydantic puts the kinds among which a value may choose between them, such as `list[str]`.
    """
    parts = []
    for place, part in enumerate(error["loc"], 1):
        listed = enumerate(data if isinstance(data, list) else ())
        items = data.items() if isinstance(data, dict) else listed
        inside = {str(key): value for key, value in items}
        missing = error["type"] == "missing" and place == len(error["loc"])
        is_key = str(part) in inside
        parts.append((str(part), is_key or missing or part == "[key]"))
        data = inside[str(part)] if is_key else data
    return parts


def _section(model: type[BaseModel], location: tuple[str, ...]) -> type[BaseModel]:
    """The nested model at a location, looking through `X | None`."""
    for part in location:
        annotation = model.model_fields[part].annotation
        if get_origin(annotation) in (Union, types.UnionType):
            annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
        assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
        model = annotation
    return model
