"""What a submission holds, under which names, and how much of it.

submission.json                 who and why, the runs, size and SHA-256 of every other file
RUN_FOLDER/config.yaml, ...     the files of a run under their own names
RUN_FOLDER/method.py            the source of a method that is not published here
RUN_FOLDER/checkpoints/*, clients/*    weights and client states, where they were asked for
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fednlp.results import own_names

ABOUT = "submission.json"
METHOD = "method.py"
FORMAT = 1  # rises when a reader of before would misread a file
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,90}-[0-9a-f]{12}")  # of a run folder

MOST_FILES = 20_000
DIRECTORY_BYTES = 2**23  # of the archive's own table of contents
LARGEST = {ABOUT: 2**23, METHOD: 2**20, "config.yaml": 2**20}  # bytes of a file
LARGEST_OTHER = 2**28
LARGEST_STATE = 2**34  # weights and client states; they lie in the archive as they are
TOTAL = 2**31  # of all files but these
RATIO = 100  # of a file above `RATIO_FROM` bytes to its bytes in the archive
RATIO_FROM = 2**20


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


class Facts(BaseModel):
    """Of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class About(BaseModel):
    """The content of `submission.json`. runs: the names of the run folders."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int = FORMAT
    name: Annotated[str, Field(max_length=200), AfterValidator(_printable)] = ""
    note: Annotated[str, Field(max_length=2000), AfterValidator(_printable)] = ""
    runs: Annotated[list[str], Field(min_length=1)]
    files: dict[str, Facts]


def is_known(name: str) -> bool:
    """Whether a submission may hold an entry of this name."""
    if name == ABOUT:
        return True
    folder, _, inner = name.partition("/")
    place, slash, file = inner.rpartition("/")
    if not (name.isascii() and NAME.fullmatch(folder)):
        return False
    if slash:
        state = place in own_names.FOLDERS and own_names.is_state(file)
        return state or inner == own_names.MANIFEST
    return inner in (*own_names.FILES, METHOD)


def is_state(name: str) -> bool:
    """Whether a known name is that of weights or of a client state."""
    return name.endswith(".safetensors")


def largest(name: str) -> int:
    """Bytes that a file of a known name may have."""
    if is_state(name):
        return LARGEST_STATE
    return LARGEST.get(name.rpartition("/")[2], LARGEST_OTHER)
