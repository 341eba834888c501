"""Which rounds left each client's state as it is, as the run's own records tell it.

States stay with their silos, one file per client and round. A server that continues from its
checkpoint asks for the state of the round that its records name, so that nothing of rounds that it
has forgotten comes back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fednlp.results.manifest import Manifest
from fednlp.results.schema import left_out


class Ledger:
    """Rounds count from 0. took_part: client -> its rounds, in order."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.took_part: dict[int, list[int]] = defaultdict(list)
        for record in records:
            out = left_out(record)
            for client in record.get("clients", []):
                if client not in out:
                    self.took_part[client].append(record["round"] - 1)

    def add(self, client: int, round: int) -> None:
        self.took_part[client].append(round)

    def last(self, client: int, completed: int | None = None) -> int:
        """Its last round, of the first `completed` ones if that is given; -1 if it has none."""
        rounds = self.took_part.get(client, [])
        known = [r for r in rounds if completed is None or r < completed]
        return known[-1] if known else -1

    def keep(self, client: int, manifest: Manifest) -> list[int]:
        """The rounds whose states the run may ask for again: its checkpoint's, its best one's."""
        ends = (manifest.completed, manifest.best_round or 0)
        return sorted({self.last(client, end) for end in ends} - {-1})
