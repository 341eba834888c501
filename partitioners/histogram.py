"""How many examples of each skew label a client holds, kept sparse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelHistogram:
    """Rows of a sparse [clients, labels] count matrix.

    offsets: [clients + 1] int64; labels: [nnz] int64, ascending within a client;
    counts: [nnz] int64, all above 0; names: label value -> name (may be empty).
    """

    offsets: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def count(
        cls, labels: np.ndarray, owners: np.ndarray, clients: int, names: tuple[str, ...] = ()
    ) -> LabelHistogram:
        """From [N] labels and [N] owners (-1: nobody's)."""
        held = owners >= 0
        values, codes = np.unique(labels[held], return_inverse=True)
        width = max(len(values), 1)
        cells, counts = np.unique(owners[held] * width + codes, return_counts=True)
        offsets = np.searchsorted(cells // width, np.arange(clients + 1))
        return cls(offsets, values[cells % width], counts, names)

    @property
    def clients(self) -> int:
        return len(self.offsets) - 1

    def holders(self) -> np.ndarray:
        """[nnz] int64: the client of each entry."""
        return np.repeat(np.arange(self.clients), np.diff(self.offsets))

    def name(self, label: int) -> str:
        """Name of a label, its number where there is none."""
        return self.names[label] if 0 <= label < len(self.names) else str(label)

    def client(self, k: int) -> dict[str, int]:
        """Name of the label -> examples of client k."""
        entries = slice(self.offsets[k], self.offsets[k + 1])
        return {
            self.name(label): count
            for label, count in zip(
                self.labels[entries].tolist(), self.counts[entries].tolist(), strict=True
            )
        }
