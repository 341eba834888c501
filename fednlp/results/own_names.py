"""The names that a run folder gives to its files: what is ours to write and to remove.

Whatever else lies there stays. Nothing is written or removed through a link: it would be a file
elsewhere.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from fednlp.errors import UserError
from fednlp.results import files

LOCK = "lock"
FOLDERS = ("checkpoints", "clients")
MANIFEST = "checkpoints/manifest.json"
FILES = (
    *("identity.json", "config.yaml", "environment.json", "partition.npz", "rounds.jsonl"),
    *("result.json", "clients.csv", "predictions.parquet"),
)
_TENSORS = r"(round|\d+)-\d+\.safetensors"  # of a round, or of a client after one
_NAMES = "|".join(map(re.escape, (*FILES, Path(MANIFEST).name)))
_TEMPORARY = re.compile(rf"\.({_NAMES}|{_TENSORS})\.\d+(\.[0-9a-f]+)?\.tmp")  # see `write_bytes`


def is_temporary(name: str) -> bool:
    """Whether a killed write of one of our files left it."""
    return _TEMPORARY.fullmatch(name) is not None


def is_state(name: str) -> bool:
    """Whether it is the name of a checkpoint or of a client state."""
    return re.fullmatch(_TENSORS, name) is not None


def require_own(folder: Path) -> None:
    """Refuses a run folder in which one of our names is a link, or another thing than it should be.

    A run folder that was moved elsewhere and is linked to is one.

    Raises:
        UserError: names the path.
    """
    if os.path.islink(folder) and not os.path.isfile(folder / MANIFEST):
        found = "is a link, and holds no checkpoints/manifest.json"
        raise UserError(str(folder), found, "a run folder or nothing", "move it away")
    for name in (LOCK, *FILES, *FOLDERS, MANIFEST):
        expected = "directory" if name in FOLDERS else "file"
        found = _kind(folder / name)
        if found not in ("nothing", expected):
            told = f"a {expected} of the run itself"
            raise UserError(str(folder / name), f"is a {found}", told, "move it away")


def _kind(path: Path) -> str:
    mode = files.mode_of(path)
    if mode is None:
        return "nothing"
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "pipe or a device"


def no_link(path: str, flags: int) -> int:
    """An `opener` for `open` that follows no link, should one have come since `require_own`."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
