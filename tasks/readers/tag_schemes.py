"""Entity tags in the schemes that files use, turned into IOB2, the only one of this package.

| scheme | an entity of three words, of one, and a second one right after it of the same type     |
|--------|----------------------------------------------------------------------------------------|
| iob2   | `B-X I-X I-X`, `B-X`, `B-X`: every entity begins with B                                |
| iob1   | `I-X I-X I-X`, `I-X`, `B-X`: B only where an entity of the same type ends just before  |
| bioes  | `B-X I-X E-X`, `S-X`, `S-X`: E ends an entity, S is one of a single word               |

IOB1 is the scheme of Ramshaw and Marcus 1995, "Text Chunking using Transformation-Based Learning".
A file in IOB2 that is read as IOB1 gives the same entities, and many copies of IOB1 corpora are in
IOB2, so B anywhere is no error there. Everything else that a scheme does not allow is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tasks.errors import DataError
from tasks.schema import check_iob2, entity_type

Scheme = Literal["iob2", "iob1", "bioes"]

# What may follow: inside an entity (after B or I) and outside one.
_BIOES = {True: ("I", "E"), False: ("O", "B", "S")}


def to_iob2(tags: Sequence[str], scheme: Scheme, where: str) -> list[str]:
    """The tags of one sentence in IOB2.

    Raises:
        DataError: names the position of the first tag that breaks the scheme.
    """
    if scheme == "bioes":
        return _from_bioes(tags, where)
    if scheme == "iob1":
        return _from_iob1(tags, where)
    check_iob2(tags, where)
    return list(tags)


def _from_iob1(tags: Sequence[str], where: str) -> list[str]:
    converted, previous = [], ""
    for number, tag in enumerate(tags, 1):
        kind = entity_type(tag, f"{where} word {number}")
        begins = kind != "" and kind != previous
        converted.append(f"B-{kind}" if begins else tag)
        previous = kind
    return converted


def _from_bioes(tags: Sequence[str], where: str) -> list[str]:
    converted, inside = [], ""  # the type of the entity that is not over
    for number, tag in enumerate(tags, 1):
        prefix, dash, kind = tag.partition("-")
        if tag != "O" and (prefix not in tuple("BIES") or not dash or not kind):
            raise DataError(
                f"{where} word {number}", f"tag {tag!r}", "O, or B, I, E or S, a dash and a type",
                "check local.options.scheme and tag_column",
            )  # fmt: skip
        if prefix not in _BIOES[inside != ""] or (inside and kind != inside):
            raise DataError(
                f"{where} word {number}",
                f"tag {tag} {'inside' if inside else 'outside'} an entity",
                f"I-{inside} or E-{inside}" if inside else "O, B-<type> or S-<type>",
                "check local.options.scheme and the line",
            )
        converted.append({"S": "B", "E": "I"}.get(prefix, prefix) + dash + kind)
        inside = kind if prefix in ("B", "I") else ""
    if inside:
        raise DataError(
            where, f"an entity {inside} without an end", f"E-{inside} before the sentence ends"
        )
    return converted
