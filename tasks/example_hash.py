"""One number per example that says what is in it, so that it is found again after a new download.

It is the first eight bytes of BLAKE2b, read as a little-endian integer, over the UTF-8 of the
example's fields, joined by U+001F; the parts of a list are joined by U+001E:

| task                | fields                                       |
|---------------------|----------------------------------------------|
| text_classification | text, name of the label                      |
| sequence_tagging    | words, names of the tags                     |
| question_answering  | question, context, answers, their offsets    |
| seq2seq             | input, targets                               |

Examples with the same content have the same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

FIELD, PART = "\x1f", "\x1e"


def example_hashes(task: str, examples: pyarrow.Table, labels: Sequence[str]) -> np.ndarray:
    """[N] uint64 of a table in the task's schema; `labels` name its label or tag numbers."""
    texts = _texts(task, examples, labels)
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _texts(task: str, examples: pyarrow.Table, labels: Sequence[str]) -> Iterable[str]:
    def column(name: str) -> list:
        return examples.column(name).to_pylist()

    if task == "text_classification":
        for text, label in zip(column("text"), column("label"), strict=True):
            yield f"{text}{FIELD}{labels[label]}"
    elif task == "sequence_tagging":
        for words, tags in zip(column("words"), column("tags"), strict=True):
            yield PART.join(words) + FIELD + PART.join(labels[tag] for tag in tags)
    elif task == "question_answering":
        columns = (column("question"), column("context"), column("answers"))
        for question, context, answers in zip(*columns, strict=True):
            starts = PART.join(map(str, answers["start"]))
            yield FIELD.join((question, context, PART.join(answers["text"]), starts))
    else:
        for source, targets in zip(column("input"), column("targets"), strict=True):
            yield source + FIELD + PART.join(targets)
