"""One table schema per task: the columns that every data set of the task has, whatever its source.

| task                | columns                                                                    |
|---------------------|----------------------------------------------------------------------------|
| text_classification | `text` string, `label` int64                                               |
| sequence_tagging    | `words` list[string], `tags` list[int64] (IOB2, indices into the labels)   |
| question_answering  | `id`, `question`, `context`, `title` string, `answers` {text, start}       |
| seq2seq             | `input` string, `targets` list[string]                                     |

Every task also has `row` int64 (row number in the order of the source split, kept through cuts and
limits), `client` string (natural client, or "") and `source` string (or "").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from tasks.errors import DataError

if TYPE_CHECKING:
    import datasets

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

TASK_COLUMNS: dict[str, tuple[str, ...]] = {
    "text_classification": ("text", "label"),
    "sequence_tagging": ("words", "tags"),
    "question_answering": ("id", "question", "context", "title", "answers"),
    "seq2seq": ("input", "targets"),
}
COMMON_COLUMNS = ("row", "client", "source")
# What may count as the class of an example; a cluster of its text may too, in every task.
SKEW_KINDS: dict[str, tuple[str, ...]] = {
    "text_classification": ("label", "source", "client"),
    "sequence_tagging": ("entity_types", "source", "client"),
    "question_answering": ("title", "question_type", "source", "client"),
    "seq2seq": ("source", "client"),
}
LABEL_COLUMN = {"text_classification": "label", "sequence_tagging": "tags"}


def features(task: str) -> datasets.Features:
    """The `datasets` features of a task; the order of the columns is part of the schema."""
    from datasets import Features, List, Value

    kinds = {
        "label": Value("int64"),
        "words": List(Value("string")),
        "tags": List(Value("int64")),
        "answers": {"text": List(Value("string")), "start": List(Value("int32"))},
        "targets": List(Value("string")),
        "row": Value("int64"),
    }
    columns = (*TASK_COLUMNS[task], *COMMON_COLUMNS)
    return Features({column: kinds.get(column, Value("string")) for column in columns})


def ordered_labels(task: str, names: Iterable[str], where: str) -> list[str]:
    """The label vocabulary in its one order, whatever order the names came in.

    Classes are sorted. Tags become `O`, then `B-` and `I-` of every entity type, types sorted.

    Raises:
        DataError: a tag that is not IOB2.
    """
    unique = set(names)
    if task != "sequence_tagging":
        return sorted(unique)
    types = {entity_type(name, where) for name in unique} - {""}
    return ["O", *(f"{prefix}-{kind}" for kind in sorted(types) for prefix in "BI")]


def entity_type(tag: str, where: str) -> str:
    """`PER` for `B-PER` and `I-PER`, "" for `O`.

    Raises:
        DataError: the tag is none of these.
    """
    if tag == "O":
        return ""
    prefix, dash, kind = tag.partition("-")
    if prefix not in ("B", "I") or not dash or not kind:
        raise DataError(where, f"tag {tag!r}", "O, B-<type> or I-<type>", "use the IOB2 scheme")
    return kind


def check_iob2(tags: Sequence[str], where: str) -> None:
    """Checks one sentence: `I-X` continues a `B-X` or `I-X`.

    Raises:
        DataError: names the position of the first tag that breaks the scheme.
    """
    previous = ""
    for number, tag in enumerate(tags, 1):
        kind = entity_type(tag, f"{where} word {number}")
        if tag.startswith("I-") and kind != previous:
            raise DataError(
                f"{where} word {number}",
                f"tag {tag} follows {tags[number - 2] if number > 1 else 'the sentence start'}",
                f"B-{kind} or I-{kind} before it",
                "convert the file to IOB2",
            )
        previous = kind
