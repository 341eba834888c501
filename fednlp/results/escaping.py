"""Names come from strangers: how they are shown, and how each kind of file takes them as text.

What goes to a terminal is escaped by `fednlp.shown`, which keeps no control character either.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 160  # characters of a name that are shown
LONGEST_CELL = 2000  # of a text in a CSV or JSON file
_FORMULA = tuple("=+-@＝＋－＠")  # the wide ones too, which some programs read as the others
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "…": r"\ldots{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~<>&$])")


def shown(text: object, longest: int = LONGEST) -> str:
    """A name on one line: no control or direction character, and cut where it is too long."""
    found = str(text)
    cut = found if len(found) <= longest else found[: longest - 1] + "…"
    return "".join(" " if c in "\n\t" else c if _visible(c) else "\ufffd" for c in cut)


def _visible(character: str) -> bool:
    # Cc, Cf, Cs, Co, Cn: control, format (direction marks too), surrogates, private, unassigned
    return unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029"


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a CSV or JSON file; texts as `shown`, with room for sentences."""
    return {k: shown(v, LONGEST_CELL) if isinstance(v, str) else v for k, v in row.items()}


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: such a text gets an apostrophe in front.

    Numbers stay as they are, negative ones too; None is empty.
    """
    if not isinstance(value, str):
        return value
    text = shown(value, LONGEST_CELL)
    return f"'{text}" if text.lstrip(" \ufffd").startswith(_FORMULA) else text


def csv_table(rows: Sequence[Mapping[str, Any]], first: str = "benchmark") -> str:
    """Rows of the same keys as a CSV file; first: the head of a table without rows."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [first], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return stream.getvalue()


def latex(value: object) -> str:
    """Text in a LaTeX document; other characters need a Unicode engine or `inputenc`."""
    return "".join(_LATEX.get(character, character) for character in shown(value))


def markdown(value: object, longest: int = LONGEST) -> str:
    """Text in a cell of a Markdown table: no mark-up, no HTML, no new column."""
    return (
        _MARKDOWN.sub(r"\\\1", shown(value, longest)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    )
