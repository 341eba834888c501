"""Data sets with one small file per example, in a folder per split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.errors import DataError
from tasks.readers.unpack import entries


def of_split(names: Mapping[str, str], split: str, path: Path, thing: str) -> str:
    """The folder or file of a split, as the option `<thing>s` of the card names it.

    Raises:
        DataError: the option does not name one.
    """
    if split not in names:
        raise DataError(
            str(path), f"no {thing} is known for the split {split}", f"one of {', '.join(names)}",
            f"set local.options.{thing}s in the card",
        )  # fmt: skip
    return names[split]


def split_files(
    path: Path, folder: str, ending: str, most: int
) -> Iterator[tuple[str, str, bytes]]:
    """Where a file is, its name and its content, for every file of a folder, sorted by name.

    Args:
        path: a directory, a zip or a tar that holds the folder, at any depth.
        most: bytes that one file may have.

    Raises:
        DataError: what `entries` refuses, two files of one name, or no file.
    """

    def wanted(parts: tuple[str, ...]) -> bool:
        return len(parts) > 1 and parts[-2] == folder and parts[-1].endswith(ending)

    found = (
        (parts[-1], f"{path} entry {'/'.join(parts)}", content)
        for parts, content in entries(path, wanted, most)
    )
    seen = set[str]()
    for name, where, content in found if path.is_dir() else sorted(found):
        if name in seen:
            raise DataError(where, "a second file of this name", f"one folder {folder}/")
        seen.add(name)
        yield where, name, content
    if not seen:
        raise DataError(str(path), f"no file in {folder}/", f"{folder}/<name>{ending}")
