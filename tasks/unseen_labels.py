"""Labels of test that no training example has: a slip of the pen, or a class nobody can learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.schema import LABEL_COLUMN, entity_type

if TYPE_CHECKING:
    import pyarrow


SHOWN_LABELS = 20


def shortened(names: list[str]) -> str:
    """How many names there are, and the first of them."""
    more = ", ..." if len(names) > SHOWN_LABELS else ""
    return f"{len(names)}: {', '.join(names[:SHOWN_LABELS])}{more}"


def unseen_labels(
    task: str, labels: list[str], train: pyarrow.Table, test: pyarrow.Table
) -> list[str]:
    """Classes, or types of entities, that occur in test and not in train, in their order."""
    if task not in LABEL_COLUMN:
        return []
    seen = _names(task, labels, train)
    return [name for name in _names(task, labels, test) if name not in seen]


def _names(task: str, labels: list[str], table: pyarrow.Table) -> list[str]:
    column = table.column(LABEL_COLUMN[task]).chunks
    numbers = [chunk.flatten() if task == "sequence_tagging" else chunk for chunk in column]
    found = sorted({n for chunk in numbers for n in np.unique(chunk.to_numpy()).tolist()})
    names = [labels[number] for number in found]
    if task == "sequence_tagging":
        names = [kind for kind in dict.fromkeys(entity_type(name, task) for name in names) if kind]
    return names
