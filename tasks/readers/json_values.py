"""JSON of unknown origin: parsed, and its fields by kind, with one clear line for what is wrong."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from tasks.errors import DataError

T = TypeVar("T")


def parsed(text: str, where: str, kind: str, one_line: bool = False) -> Any:
    """The value that a text is.

    Args:
        where: place of the text; line and column of an error are added to it.
        kind: what it should be, for the message ("a complete SQuAD JSON file").
        one_line: the text is a line, which `where` names already.

    Raises:
        DataError: no JSON, or JSON nested too deep, with a number too long to be one, or with a key
            that stands twice in one object.
    """
    try:
        return loaded(text, where)
    except DataError:
        raise
    except json.JSONDecodeError as error:
        line = "" if one_line else f" line {error.lineno}"
        raise DataError(
            f"{where}{line} column {error.colno}", error.msg, kind, "fetch the file again"
        ) from None
    except RecursionError:
        raise DataError(where, "JSON nested too deep", kind) from None
    except ValueError:
        raise DataError(where, "a number of thousands of digits", kind) from None


def loaded(text: str, where: str) -> Any:
    """What `json.loads` gives and raises, but for a key that stands twice: a DataError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(where, f"the key {twice[:60]!r} twice in one object", "every key once")
        return content

    return json.loads(text, object_pairs_hook=once)


def field(owner: Any, key: str, kind: type[T], where: str) -> T:
    """The value of a key, if the owner is an object that has it in this kind.

    Raises:
        DataError: anything else; true and false are no numbers.
    """
    if not isinstance(owner, dict):
        raise DataError(where, shown(owner), f"an object with {key!r}")
    value = owner.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        found = f"{key}: {shown(value)}" if key in owner else f"no {key!r}"
        raise DataError(where, found, f"{key!r}, a {kind.__name__}")
    return value


def shown(value: Any) -> str:
    """A value in a few words, however large or deep it is."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"
    return repr(value[:60] if isinstance(value, str) else value)[:80]
