"""Whether a key that an entry of a suite's axis sets ever has an effect.

A later axis may set again what an earlier one has set, or replace the section that it is in. Where
that happens in every combination, the entry does not do what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fednlp import config as configuration
from fednlp.errors import UserError

Entry = tuple[str, dict[str, Any]]  # label, dotted key -> value
Leaf = tuple[str, ...]  # the keys that lead to a plain value


def require_effect(
    where: str,
    names: Sequence[str],
    base: dict[str, Any],
    cells: Sequence[tuple[Sequence[Entry], dict[str, Any]]],
) -> None:
    """Every plain value that an entry sets is that of a combination with this entry.

    Args:
        names: of the axes.
        cells: every combination, one entry per axis, with the configuration that it comes to.

    Raises:
        UserError: names the key, the entry and its axis, and the axis that undoes it.
    """
    undone: dict[tuple[int, str], tuple[Sequence[Entry], dict[Leaf, Any]]] = {}
    for chosen, mapping in cells:
        for number, (label, changes) in enumerate(chosen):
            known = undone.setdefault((number, label), (chosen, _set(changes)))[1]
            for leaf in [leaf for leaf, value in known.items() if _has(mapping, leaf, value)]:
                del known[leaf]
    for (number, label), (chosen, leaves) in undone.items():
        for leaf, value in leaves.items():
            later = names[_undoing(base, chosen, number, leaf, value)]
            key = ".".join(leaf)
            found = f"'{label}' sets {key}, which axis '{later}' overrides in every combination"
            fix = f"set {key} in one of the two axes"
            raise UserError(f"{where}.{names[number]}", found, fix=fix)


def set_all(mapping: dict[str, Any], changes: dict[str, Any]) -> None:
    """Sets all keys of an entry in place."""
    for key, value in changes.items():
        configuration.override(mapping, key, value)


def _undoing(
    base: dict[str, Any], chosen: Sequence[Entry], number: int, leaf: Leaf, value: Any
) -> int:
    """The axis after which the value is no longer there, in a combination where it is undone."""
    mapping = configuration.merged(base, {})
    for _, changes in chosen[: number + 1]:
        set_all(mapping, changes)
    for later in range(number + 1, len(chosen)):
        set_all(mapping, chosen[later][1])
        if not _has(mapping, leaf, value):
            return later
    raise AssertionError(f"{leaf} is undone by no axis")


def _set(changes: dict[str, Any]) -> dict[Leaf, Any]:
    """The plain values that an entry alone comes to."""
    mapping: dict[str, Any] = {}
    set_all(mapping, changes)
    return dict(_leaves(mapping, ()))


def _leaves(value: Any, path: Leaf) -> Iterator[tuple[Leaf, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, (*path, key))


def _has(mapping: Any, leaf: Leaf, value: Any) -> bool:
    for key in leaf:
        if not isinstance(mapping, dict) or key not in mapping:
            return False
        mapping = mapping[key]
    return repr(mapping) == repr(value)
