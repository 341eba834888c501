"""Test examples that a model has trained on: their input stands in train as well, to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

_INPUTS = {
    "text_classification": ("text",),
    "sequence_tagging": ("words",),
    "question_answering": ("question", "context"),
    "seq2seq": ("input",),
}
_BETWEEN = "\0"  # stands in no text of a corpus


def repeated(task: str, train: pyarrow.Table, test: pyarrow.Table) -> int:
    """How many test examples have the input of some training example, whatever their label."""
    import pyarrow.compute as pc

    wanted, found = _inputs(task, test), set[str]()
    for chunk in _inputs(task, train).chunks:
        found.update(chunk.filter(pc.is_in(chunk, value_set=wanted)).to_pylist())
    return sum(text in found for text in wanted.to_pylist())


def _inputs(task: str, table: pyarrow.Table) -> pyarrow.ChunkedArray:
    """[rows] one string for each row's input."""
    import pyarrow.compute as pc

    columns = [table.column(name) for name in _INPUTS[task]]
    if task == "sequence_tagging":
        return pc.binary_join(columns[0], _BETWEEN)
    return pc.binary_join_element_wise(*columns, _BETWEEN)
