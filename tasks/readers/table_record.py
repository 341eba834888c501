"""From the values of a table's row to a record of a task: types, labels, answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tasks.errors import DataError
from tasks.readers.answers import Unanswerable, check_answers, no_answer
from tasks.readers.json_values import field
from tasks.readers.table_values import decoded, is_missing, items, name_of, offset, text
from tasks.readers.tag_schemes import Scheme, to_iob2

REQUIRED: dict[str, tuple[str, ...]] = {
    "text_classification": ("text", "label"),
    "sequence_tagging": ("words", "tags"),
    "question_answering": ("question", "context"),
    "seq2seq": ("input", "targets"),
}
OPTIONAL: dict[str, tuple[str, ...]] = {
    "text_classification": ("client", "source"),
    "sequence_tagging": ("client", "source"),
    "question_answering": (
        "answers", "answer_text", "answer_start", "id", "title", "client", "source"
    ),
    "seq2seq": ("client", "source"),
}  # fmt: skip
ONLY_IF_NAMED = ("client", "source")


class Columns:
    """Which column of a file holds which of ours, and how what it holds is meant.

    Args:
        given: ours -> the file's, where they differ.
        label_names: names by what stands in the file, as a name.
        scheme: of the tags.
        unanswerable: what a question without an answer is.
    """

    def __init__(
        self,
        task: str,
        given: Mapping[str, str | int],
        label_names: Mapping[str, str] | None = None,
        scheme: Scheme = "iob2",
        unanswerable: Unanswerable = "error",
    ) -> None:
        self.task, self._given = task, given
        self.scheme, self.unanswerable = scheme, unanswerable
        self._names = label_names

    @property
    def paths(self) -> list[str]:
        """The file's columns that may lie inside others, such as `meta.user`."""
        return [name for name in self._given.values() if isinstance(name, str) and "." in name]

    def among(self, where: str, known: Collection[str | int]) -> dict[str, str | int]:
        """Ours -> the file's, of the columns to read.

        Args:
            where: the place of the header, or of a row that brings its own names.
            known: the file's columns.

        Raises:
            DataError: one that is needed or named is not there.
        """
        wanted = list(REQUIRED[self.task])
        for name in OPTIONAL[self.task]:
            there = name not in ONLY_IF_NAMED and name in known
            if name in self._given or there:
                wanted.append(name)
        if self.task == "question_answering" and "answers" not in wanted:
            split = ("answer_text", "answer_start")
            whole = not set(split) & set(wanted)
            wanted += ["answers"] if whole else [name for name in split if name not in wanted]
        found = {name: self._given.get(name, name) for name in wanted}
        for ours, theirs in found.items():
            if theirs not in known:
                raise DataError(
                    where, f"no column {theirs!r} for {ours!r}", f"one of {_shown(known)}"[:300],
                    _fix(known),
                )  # fmt: skip
        return found

    def label(self, where: str, name: str, value: Any) -> str:
        """The name of a label or tag."""
        label = name_of(where, name, value)
        if self._names is None:
            if name == "tag" and label.isdecimal():
                fix = "set local.options.label_names: [O, B-..., I-..., ...]"
                raise DataError(where, f"tag {label!r}, a number", "the name of a tag", fix)
            return label
        if label not in self._names:
            raise DataError(
                where, f"{name} {label!r}"[:80], f"one of {', '.join(self._names)}",
                "correct local.options.label_names",
            )  # fmt: skip
        return self._names[label]


def _shown(known: Collection[str | int]) -> str:
    """The file's columns, in quotes where blanks around one would be overlooked."""
    names = [name for name in known if isinstance(name, str)]
    bare = all(name == name.strip() for name in names)
    return ", ".join(names if bare else map(repr, names)) if names else ", ".join(map(str, known))


def _fix(known: Collection[str | int]) -> str:
    """What to do about a column that is not there: the whole header in one is no header."""
    names = [name for name in known if isinstance(name, str)]
    marks = [mark for mark in ";\t|," if len(names) == 1 and mark in names[0]]
    return f"set local.options.delimiter: {marks[0]!r}" if marks else "set local.options.columns"


def table_record(columns: Columns, where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a record; without `id` where the table has none.

    Args:
        row: our column -> the file's value.

    Raises:
        LeftOut: an unanswerable question, where these are to be dropped.
        DataError: a value that is missing, empty or of another kind than the column holds.
    """
    record = _OF_TASK[columns.task](columns, where, row)
    if columns.task == "question_answering":
        record["title"] = ""
    for name in ("id", "title", *ONLY_IF_NAMED):
        if name in row:
            record[name] = name_of(where, name, row[name])
    return record


def _classified(columns: Columns, where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    label = columns.label(where, "label", row["label"])
    return {"text": text(where, "text", row["text"]), "label": label}


def _tagged(columns: Columns, where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    words = [text(where, "word", word) for word in items(where, "words", row["words"])]
    tags = [columns.label(where, "tag", tag) for tag in items(where, "tags", row["tags"])]
    return {"words": words, "tags": to_iob2(tags, columns.scheme, where)}


def _answered(columns: Columns, where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    context = text(where, "context", row["context"])
    texts, starts = _answers(where, row)
    if not texts and not starts:
        raise no_answer(where, columns.unanswerable, "local.options.unanswerable")
    return {
        "question": text(where, "question", row["question"]),
        "context": context,
        "answers": check_answers(context, texts, starts, where),
    }


def _answers(where: str, row: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Texts and offsets, in whichever form they come; none of an unanswerable question."""
    if "answers" in row:
        answers = row["answers"]
        if isinstance(answers, list):
            texts = [field(answer, "text", str, where) for answer in answers]
            return texts, [field(answer, "answer_start", int, where) for answer in answers]
        if not isinstance(answers, dict) or not {"text", "answer_start"} <= set(answers):
            raise DataError(
                where, f"answers {answers!r}"[:80],
                "{text: [...], answer_start: [...]} or [{text, answer_start}, ...]",
                "or name answer_text and answer_start in local.options.columns",
            )  # fmt: skip
        texts, starts = answers["text"], answers["answer_start"]
    else:
        texts, starts = row["answer_text"], row["answer_start"]
        if is_missing(texts) and is_missing(starts):
            return [], []
        if not isinstance(texts, list) and not isinstance(starts, list):
            texts, starts = [texts], [offset(starts)]
    if not isinstance(texts, list) or not isinstance(starts, list):
        raise DataError(where, "one answer's text or offset alone", "two lists, or two values")
    return [decoded(where, "answer", answer) for answer in texts], starts


def _rewritten(columns: Columns, where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    targets = row["targets"] if isinstance(row["targets"], list) else [row["targets"]]
    if not targets:
        raise DataError(where, "no targets", "at least one")
    return {
        "input": text(where, "input", row["input"]),
        "targets": [text(where, "target", target) for target in targets],
    }


_OF_TASK = {
    "text_classification": _classified,
    "sequence_tagging": _tagged,
    "question_answering": _answered,
    "seq2seq": _rewritten,
}
