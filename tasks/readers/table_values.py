"""Single values of a table, whatever type its format gave them: texts, names, lists, offsets.

Libraries change types: a column of whole numbers in which one value is missing holds floats, text
may come as bytes, a user may be a date. What has one reading is read; nothing is guessed.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from tasks.errors import DataError

_WHOLE = re.compile(r"[0-9]{1,9}")
BARE = "a name without blanks around it"
_EXACT = 2**53  # floats tell whole numbers apart up to here


def text(where: str, name: str, value: Any) -> str:
    value = decoded(where, name, value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(where, _found(name, value), "text")
    return value


def name_of(where: str, name: str, value: Any) -> str:
    """A name: a text as it stands, a whole number, a date (ISO 8601), `true` or `false`.

    With blanks around it, which nobody sees, it would be another name than the same without.
    """
    value = decoded(where, name, value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)
    if isinstance(value, int) and abs(value) < 2**64:
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if not isinstance(value, str) or not value.strip():
        raise DataError(where, _found(name, value), "a name or a whole number")
    if value != value.strip():
        raise DataError(where, f"{name}: {value[:60]!r}", BARE)
    return value


def items(where: str, name: str, value: Any) -> list[Any]:
    """The items of a list, or of a string with blanks between them."""
    value = decoded(where, name, value)
    found = [item for item in value.split(" ") if item] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise DataError(where, _found(name, value), "a list, or items with blanks between")
    return found


def offset(value: Any) -> Any:
    """The whole number in a cell of CSV, or in a column of floats; any other value as it is."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_missing(value: Any) -> bool:
    """No value: null, an empty text, or the NaN that stands for null in columns of floats."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def decoded(where: str, name: str, value: Any) -> Any:
    """Bytes as the UTF-8 that they are; any other value as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        found = f"{name}: bytes that are not UTF-8"
        raise DataError(where, found, "text", "save it as UTF-8") from None


def _found(name: str, value: Any) -> str:
    if value == [] or is_missing(value):
        return f"an empty {name}"
    shown = f"{value!r:.60}" if isinstance(value, str | float | bool) else type(value).__name__
    return f"{name}: {shown}"
