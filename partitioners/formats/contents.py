"""Examples as formats want them: x and y of LEAF, the datasets of FedNLP's data files.

A table of examples has the columns of its task; labels and tags are names:

| task                | x                            | y                      |
|---------------------|------------------------------|------------------------|
| text_classification | text                         | label                  |
| sequence_tagging    | words                        | tags                   |
| question_answering  | id, question, context, title | answers {text, start}  |
| seq2seq             | input                        | targets                |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import PartitionError

if TYPE_CHECKING:
    import pyarrow

TARGETS = {
    "label": "text_classification",
    "tags": "sequence_tagging",
    "answers": "question_answering",
    "targets": "seq2seq",
}
_NOT_CONTENT = ("client", "source")


def task_of(table: pyarrow.Table) -> tuple[str, str]:
    """The task of a table and the column that is to be predicted."""
    for column, task in TARGETS.items():
        if column in table.column_names:
            return task, column
    raise PartitionError(
        "examples", f"columns {', '.join(table.column_names)}", f"one of {', '.join(TARGETS)}"
    )


def x_and_y(table: pyarrow.Table) -> tuple[list[Any], list[Any]]:
    """What to predict from, as its value or an object of several, and what to predict."""
    _, target = task_of(table)
    inputs = [name for name in table.column_names if name not in (target, *_NOT_CONTENT)]
    if len(inputs) == 1:
        return table.column(inputs[0]).to_pylist(), table.column(target).to_pylist()
    return table.select(inputs).to_pylist(), table.column(target).to_pylist()


def reject_taken(table: pyarrow.Table, taken: tuple[str, ...]) -> None:
    """PartitionError if the examples have a column that the format needs itself."""
    for name in taken:
        if name in table.column_names:
            raise PartitionError("examples", f"have a column {name}", "another name for it")
