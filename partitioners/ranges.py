"""Numbers of clients in a few words: `0-9, 12`."""

from __future__ import annotations

import numpy as np


def ranges(numbers: np.ndarray, most: int | None = None) -> str:
    """[n] ascending whole numbers, neighbours as one range; only the first `most` of them."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    told = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs[:most]]
    return ", ".join([*told, "..."] if most is not None and len(runs) > most else told)
