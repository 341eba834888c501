"""A user's own table: CSV, TSV, JSON lines or Parquet, for every task.

`columns` maps our columns to the file's, by name, or by number from 0 in CSV and TSV; what it does
not name has our name in the file. `meta.user` is the column `user` inside a column `meta`, in JSON
lines and Parquet.

| task                | columns, with what they may hold                                           |
|---------------------|----------------------------------------------------------------------------|
| text_classification | `text`; `label`: a name or a whole number                                  |
| sequence_tagging    | `words`, `tags`: lists, or strings with blanks between                     |
| question_answering  | `question`, `context`; `answers`: {text: [...], answer_start: [...]} or    |
|                     | [{text, answer_start}, ...], or columns `answer_text` and `answer_start`;  |
|                     | `title`, `id` where there are any                                          |
| seq2seq             | `input`; `targets`: a string or a list of them; in evaluation splits the   |
|                     | targets of equal inputs are gathered in one example                        |

`client` (the natural client) and `source` are read where `columns` names them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from tasks.errors import DataError
from tasks.readers.answers import Unanswerable
from tasks.readers.compressed import COMPRESSED
from tasks.readers.reader import Reader, ReaderOptions, Records, names_once
from tasks.readers.references import group_references
from tasks.readers.table_record import OPTIONAL, REQUIRED, Columns, table_record
from tasks.readers.table_rows import Layout, csv_table, json_lines, parquet_rows
from tasks.readers.table_values import name_of
from tasks.readers.tag_schemes import Scheme
from tasks.readers.text_lines import Encoding
from tasks.schema import LABEL_COLUMN

Format = Literal["csv", "tsv", "jsonl", "parquet"]
LabelNames = list[str] | dict[bool | int | str, str]

ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}


class TableOptions(ReaderOptions):
    """How the table is laid out.

    `format`: by the file's ending if not given (`reviews.csv.gz` is CSV). `delimiter`, `quoting`,
    `header` and `encoding` are for CSV and TSV; if not given, CSV has commas and double quotes, TSV
    has tabs and none, and both have a header, which must be given where all columns are numbers.
    `label_names`: the names of labels (or tags) that are numbers or codes in the file: a list that
    starts with the name of 0, or a mapping such as {0: negative, 4: positive}. `scheme` of the
    tags, which become IOB2 (see tag_schemes.py). `unanswerable`: a question without an answer is a
    bad record (`error`), or left out and counted (`drop`).
    """

    columns: dict[str, str | int] = Field(default={})
    format: Format | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quoting: bool | None = None
    header: bool = True
    encoding: Encoding = "utf-8"
    label_names: LabelNames | None = None
    scheme: Scheme = "iob2"
    unanswerable: Unanswerable = "error"

    _task: str = PrivateAttr("")

    @property
    def task(self) -> str:
        """The card's task, which decides what is read."""
        return self._task

    @property
    def names_clients(self) -> bool:
        return "client" in self.columns

    @field_validator("delimiter")
    @classmethod
    def _may_separate(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and delimiter in '\r\n"\0':
            raise ValueError(f"{delimiter!r} cannot separate values; expected one such as ;")
        return delimiter

    @field_validator("label_names")
    @classmethod
    def _named_once(cls, names: LabelNames | None) -> LabelNames | None:
        """By the label as it is read, whatever type it has: 1 and "1" are one label."""
        if names is None:
            return None
        if not names:
            raise ValueError("empty; expected names, such as [bad, good]")
        pairs = enumerate(names) if isinstance(names, list) else names.items()
        named: dict[bool | int | str, str] = {}
        for key, name in pairs:
            label = name_of("a key", "label", key)
            if label in named:
                raise ValueError(f"two names of the label {label!r}; expected one")
            named[label] = name_of(f"the name of {label}", "name", name)
        if isinstance(names, list):
            names_once(names)
        return named

    @model_validator(mode="after")
    def _fit_the_task(self, info: ValidationInfo) -> TableOptions:
        assert info.context is not None, "the task of the card is needed"
        self._task = info.context["task"]
        self._check_once()
        known = (*REQUIRED[self.task], *OPTIONAL[self.task])
        for name in self.columns:
            if name not in known:
                raise ValueError(
                    f"columns has {name!r}, which is no column of {self.task}: {', '.join(known)}"
                )
        if self.label_names is not None and self.task not in LABEL_COLUMN:
            raise ValueError(f"label_names: {self.task} has no labels")
        if "scheme" in self.model_fields_set and self.task != "sequence_tagging":
            raise ValueError(f"scheme: {self.task} has no tags")
        if "unanswerable" in self.model_fields_set and self.task != "question_answering":
            raise ValueError(f"unanswerable: {self.task} has no questions")
        self._check_header()
        return self

    def _check_header(self) -> None:
        """Numbers alone do not tell whether the first line is a row, which would be lost."""
        numbers = all(isinstance(theirs, int) for theirs in self.columns.values())
        needed = set(REQUIRED[self.task]) <= set(self.columns)
        if numbers and needed and "header" not in self.model_fields_set:
            raise ValueError(
                "columns are numbers, and header is not given; say header: false if the first line "
                "is a row, header: true if it has names"
            )

    def _check_once(self) -> None:
        """No column under two names of ours.

        A client, source or title may be what another column is, such as the label.
        """
        named = {
            ours: self.columns.get(ours, ours) for ours in (*REQUIRED[self.task], *self.columns)
        }
        owners: dict[str | int, str] = {}
        for ours, theirs in named.items():
            if ours in ("client", "source", "title"):
                continue
            if theirs in owners:
                raise ValueError(f"columns: {owners[theirs]} and {ours} are both {theirs!r}")
            owners[theirs] = ours


def read(path: Path, split: str, options: TableOptions) -> Records:
    """Yields the columns of the task for every row; a row that does not fit is a bad record.

    Raises:
        DataError: the file cannot be read, lacks a column, or has no row.
    """
    records = _records(path, options)
    if options.task == "seq2seq" and split != "train":
        records = group_references(records)
    yield from records


def _records(path: Path, options: TableOptions) -> Records:
    kind = options.format or _format(path)
    names = cast(dict[str, str] | None, options.label_names)  # see _named_once
    columns = Columns(options.task, options.columns, names, options.scheme, options.unanswerable)
    found = False
    if kind == "jsonl":
        rows = json_lines(path, columns)
    elif kind == "parquet":
        rows = parquet_rows(path, columns)
    else:
        quoting = kind == "csv" if options.quoting is None else options.quoting
        delimiter = options.delimiter or {"csv": ",", "tsv": "\t"}[kind]
        layout = Layout(delimiter, quoting, options.header, options.encoding)
        rows = csv_table(path, columns, layout)
    for where, row in rows:
        found = True
        try:
            if isinstance(row, DataError):
                raise row
            yield where, table_record(columns, where, row)
        except DataError as error:
            yield error
    if not found:
        raise DataError(str(path), "no rows", "at least one")


def _format(path: Path) -> Format:
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in COMPRESSED:
        endings.pop()
    if not endings or endings[-1] not in ENDINGS:
        raise DataError(
            str(path), f"the name {path.name}", f"one that ends with {', '.join(ENDINGS)}",
            "or set local.options.format",
        )  # fmt: skip
    return ENDINGS[endings[-1]]


TABLE = Reader(tuple(REQUIRED), TableOptions, read)
