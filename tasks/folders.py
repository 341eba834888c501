"""What a folder holds, or an error: `Path.rglob` passes over folders that it may not read."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Files and links in a folder and in all below it, sorted; links are not followed.

    Raises:
        OSError: a folder that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        links = (name for name in folders if os.path.islink(os.path.join(place, name)))
        found += [Path(place, name) for name in (*files, *links)]
    return sorted(found)
