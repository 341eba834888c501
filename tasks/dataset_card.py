"""What a data set is: its task, where it comes from, and what loading it must give.

A card is a small YAML file with up to three sources: `local` (files in their original format),
`hub` (a repository at a pinned commit) and `synthetic` (an embedded generator).

>>> card = DatasetCard.parse({
...     "name": "mine", "task": "sequence_tagging", "version": 1, "licence": "CC BY 4.0",
...     "language": "en", "description": "news", "skew": "entity_types",
...     "local": {"reader": "conll", "files": {"train": "a.txt", "test": "b.txt"}}}, "mine.yaml")
>>> card.source_splits
('train', 'test')
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from tasks.card_errors import one_line
from tasks.errors import DataError
from tasks.readers import READERS
from tasks.readers.answers import Unanswerable
from tasks.readers.reader import ReaderOptions, names_once
from tasks.schema import LABEL_COLUMN, SKEW_KINDS, SPLITS, TASK_COLUMNS, SplitName

TaskName = Literal["text_classification", "sequence_tagging", "question_answering", "seq2seq"]
SourceName = Literal["local", "hub", "synthetic", "members"]
Count = Annotated[int, Field(ge=1)]  # of examples in a split


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class HubSource(_Section):
    """A repository on the hub; `revision` is a commit, never a branch, so a run can be repeated.

    `splits`: ours -> the repository's. `files`: the repository's split -> path in the repository,
    where its own layout is not to be relied on. `columns`: ours -> the repository's, where they
    differ (`translation.de`: a column inside a column). `labels`: names of integer labels that the
    repository's schema does not name. `select`: our split -> the values of `select_column` whose
    rows it keeps. `group_references`: in validation and test, sequence-to-sequence rows of equal
    input become one with all targets. `unanswerable`: a question without an answer is a bad record
    (`error`), or left out and counted (`drop`).
    """

    id: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    config: str | None = None
    files: dict[str, str] | None = None
    splits: dict[SplitName, str] = {"train": "train", "validation": "validation", "test": "test"}
    columns: dict[str, str] = {}
    labels: list[str] | None = None
    select_column: str | None = None
    select: dict[SplitName, list[str]] = {}
    group_references: bool = True
    unanswerable: Unanswerable = "error"

    @field_validator("labels")
    @classmethod
    def _differ(cls, labels: list[str] | None) -> list[str] | None:
        return None if labels is None else names_once(labels)

    @model_validator(mode="after")
    def _selection_is_whole(self) -> HubSource:
        if bool(self.select) != (self.select_column is not None):
            raise ValueError("select and select_column go together")
        if self.select and set(self.select) != set(self.splits):
            raise ValueError(f"select has {list(self.select)}; expected all of {list(self.splits)}")
        theirs = list(self.splits.values())
        twice = [name for name in theirs if theirs.count(name) > 1]
        if twice and not self.select:
            raise ValueError(f"splits names {twice[0]!r} twice; expected every split once")
        unknown = sorted(set(self.splits.values()) - set(self.files or self.splits.values()))
        if unknown:
            raise ValueError(f"splits names {unknown[0]!r}, which files does not have")
        return self


def beside(name: str, folder: Path) -> str:
    """The full path of what a card in the folder calls `./name`; any other name as it is."""
    return str(folder.resolve() / name) if name.startswith("./") else name


class LocalSource(_Section):
    """Files in their original format, absolute or relative to the data root (FEDNLP_DATA).

    A path that begins with `./` starts at the card. A split may be a list of files, read one after
    the other; where the format itself names no source, the source of a record is then its file's
    name without ending.
    """

    reader: str
    files: dict[SplitName, str | list[str]]
    options: dict[str, Any] = {}

    _folder: Path | None = PrivateAttr(None)

    @field_validator("files")
    @classmethod
    def _named(cls, files: dict[SplitName, str | list[str]]) -> dict[SplitName, str | list[str]]:
        for split, names in files.items():
            if not names or not all([names] if isinstance(names, str) else names):
                raise ValueError(f"{split}: {names!r}; expected a path, or a list of paths")
        return files

    def paths(self, split: SplitName) -> list[str]:
        """The files of a split as the card writes them."""
        names = self.files[split]
        return [names] if isinstance(names, str) else names

    def beside(self, folder: Path) -> LocalSource:
        """The same with full paths instead of those that begin with `./`."""
        files = {
            split: beside(names, folder)
            if isinstance(names, str)
            else [beside(name, folder) for name in names]
            for split, names in self.files.items()
        }
        copy = self.model_copy(update={"files": files})
        copy._folder = folder
        return copy

    def lies_beside(self, name: str) -> bool:
        """Whether the card's folder has the file, so that `./` may be what its path lacks."""
        return self._folder is not None and os.path.exists(self._folder / name)

    def reader_options(self, task: str) -> ReaderOptions:
        """The options as the reader takes them."""
        return READERS[self.reader].options.model_validate(self.options, context={"task": task})

    def names_sources(self, split: SplitName) -> bool:
        """Whether a record's source is its file: the split is a list, if only of one."""
        return not isinstance(self.files[split], str)

    @field_validator("reader")
    @classmethod
    def _known_reader(cls, name: str) -> str:
        if name not in READERS:
            close = difflib.get_close_matches(name, READERS, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"no reader {name!r}; known: {', '.join(READERS)}{hint}")
        return name


class SyntheticSource(_Section):
    """An embedded generator: examples per split, its own seed, its own options."""

    generator: str
    sizes: dict[SplitName, int]
    seed: int = Field(default=0, ge=0)
    options: dict[str, Any] = {}

    @field_validator("sizes")
    @classmethod
    def _positive(cls, sizes: dict[SplitName, int]) -> dict[SplitName, int]:
        for split, size in sizes.items():
            if size < 1:
                raise ValueError(f"{split}: {size} examples; expected at least 1")
        return sizes


class Cut(_Section):
    """How a split is cut from train where the data set has none (see validation_split.py).

    The seed belongs to the card, not to a run: every run of a data set has the same splits.
    """

    fraction: float = Field(default=0.1, gt=0, lt=1)
    maximum: int = Field(default=5000, ge=1)
    seed: int = Field(default=0, ge=0)


class DatasetCard(_Section):
    """One data set.

    `labels` declares the label names (any order): a name outside is an error. Without it they are
    those that occur. `expected` is the number of examples of each source split, checked on load.
    `skew`: the default kind of skew label. `client`: the column that is the natural client key.
    `members`: other data sets of the same task, by the name of a card or the path of one (`./` is
    the folder of this card), that are joined split by split, each with the most examples it gives
    to a split (a seeded subsample), {} for all; the source of an example is then the name of its
    data set. `test`: how the test split is cut from train where the
    sources have none.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    task: TaskName
    version: int = Field(ge=1)
    licence: str
    language: str
    description: str
    homepage: str = ""
    citation: str = ""
    local: LocalSource | None = None
    hub: HubSource | None = None
    synthetic: SyntheticSource | None = None
    members: dict[str, dict[SplitName, Count]] | None = None
    labels: list[str] | None = None
    expected: dict[SplitName, Count] = {}
    skew: str
    client: Literal["title", "source", "client"] | None = None
    validation: Cut = Cut()
    test: Cut | None = None

    @property
    def source_splits(self) -> tuple[SplitName, ...]:
        """The splits that the sources have, before validation is cut."""
        declared = self._declared_splits()
        return next(iter(declared.values()))

    @property
    def sources(self) -> tuple[str, ...]:
        """Which of `local`, `hub`, `synthetic` and `members` the card has."""
        return tuple(self._declared_splits())

    @property
    def has_clients(self) -> bool:
        """Whether its examples may have natural clients; embedded corpora always do."""
        by_hub = self.hub is not None and "client" in self.hub.columns
        by_file = self.local is not None and self.local.reader_options(self.task).names_clients
        return self.client is not None or self.synthetic is not None or by_hub or by_file

    def _declared_splits(self) -> dict[str, tuple[SplitName, ...]]:
        given = {
            "local": self.local.files if self.local else None,
            "hub": self.hub.splits if self.hub else None,
            "synthetic": self.synthetic.sizes if self.synthetic else None,
            "members": None if self.members is None else SPLITS,
        }
        return {
            name: tuple(split for split in SPLITS if split in splits)
            for name, splits in given.items()
            if splits is not None
        }

    @model_validator(mode="after")
    def _sources_agree(self) -> DatasetCard:
        declared = self._declared_splits()
        if self.members == {}:
            raise ValueError("members: {}; expected data sets, such as {squad: {}}")
        if not declared:
            raise ValueError("no source; expected local, hub, synthetic or members")
        if "members" in declared and (len(declared) > 1 or self.labels or self.test):
            raise ValueError("members stand beside another source, labels or test; drop those")
        for name, splits in declared.items():
            if "train" not in splits or ("test" not in splits and self.test is None):
                raise ValueError(
                    f"{name} has the splits {list(splits)}; train and test are needed, or say how "
                    "to cut a test split, e.g. test: {fraction: 0.2}"
                )
            if "test" in splits and self.test is not None:
                raise ValueError(f"{name} has a test split, and test says how to cut one; drop it")
        if len(set(declared.values())) > 1:
            raise ValueError(f"the sources have different splits: {declared}")
        if set(self.expected) - set(self.source_splits):
            raise ValueError(f"expected names a split that the sources {self.sources} do not have")
        return self

    @model_validator(mode="after")
    def _fits_the_task(self) -> DatasetCard:
        if self.local is not None and self.task not in READERS[self.local.reader].tasks:
            serves = ", ".join(READERS[self.local.reader].tasks)
            raise ValueError(f"local.reader {self.local.reader} is for {serves}, not {self.task}")
        if self.hub is not None:
            unknown = set(self.hub.columns) - {*TASK_COLUMNS[self.task], "client", "source"}
            if unknown:
                raise ValueError(
                    f"hub.columns has {sorted(unknown)[0]!r}, which is no column of {self.task}: "
                    f"{', '.join(TASK_COLUMNS[self.task])}"
                )
        if (
            self.hub is not None
            and self.hub.unanswerable == "drop"
            and "answers" not in (TASK_COLUMNS[self.task])
        ):
            raise ValueError(f"hub.unanswerable: {self.task} has no questions")
        if self.labels is not None and self.task not in LABEL_COLUMN:
            raise ValueError(f"labels: {self.task} has none")
        if self.client == "title" and self.task != "question_answering":
            raise ValueError(f"client: title is no column of {self.task}")
        kinds = [*SKEW_KINDS[self.task], "cluster"]
        if self.skew not in kinds:
            close = difflib.get_close_matches(self.skew, kinds, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"skew: {self.skew!r}; expected one of {', '.join(kinds)}{hint}")
        return self

    @classmethod
    def parse(cls, data: Any, where: str, folder: Path | None = None) -> DatasetCard:
        """Checks the content of a card.

        Args:
            data: what the YAML file holds.
            where: the card's file name, for messages.
            folder: where it lies.

        Raises:
            DataError: names the file and the first key that is wrong.
        """
        if not isinstance(data, dict):
            raise DataError(where, f"a {type(data).__name__}", "a mapping of keys")
        if "tasks" in data and "task" not in data:
            raise DataError(where, "the card of a model", "the card of a data set")
        try:
            card = cls.model_validate(data)
        except ValidationError as error:
            raise one_line(where, cls, error, data) from None
        if card.local is not None:
            options, given = READERS[card.local.reader].options, card.local.options
            try:
                card.local.reader_options(card.task)
            except ValidationError as error:
                raise one_line(where, options, error, given, ("local", "options")) from None
            if folder is not None:
                card = card.model_copy(update={"local": card.local.beside(folder)})
        if card.members is not None and folder is not None:
            members = {beside(name, folder): most for name, most in card.members.items()}
            card = card.model_copy(update={"members": members})
        return card
