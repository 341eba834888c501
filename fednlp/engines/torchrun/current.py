"""The group that this process leads, for the engines that it builds meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fednlp.engines.torchrun.membership import START
from fednlp.errors import UserError

if TYPE_CHECKING:
    from fednlp.engines.torchrun.group import Group

_group: Group | None = None


@contextmanager
def serving(group: Group) -> Iterator[None]:
    global _group
    _group = group
    try:
        yield
    finally:
        _group = None


def current_group() -> Group:
    """Raises UserError: this process leads none."""
    if _group is None:
        raise UserError("engine.name: torchrun", "no torchrun started this process", fix=START)
    return _group
