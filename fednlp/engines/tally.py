"""What the clients of a round did, added up in cohort order."""

from __future__ import annotations

from dataclasses import dataclass, field

from fednlp.engines.client import Assignment, Upload, client_place
from fednlp.engines.engine import RoundOutcome
from fednlp.errors import NotFinite
from fednlp.nonfinite import FIX


@dataclass
class Tally:
    """round: from 0. clients: of the cohort. skip: those that are not finite are left out."""

    round: int
    clients: int
    skip: bool
    outcome: RoundOutcome = field(default_factory=RoundOutcome)
    total_weight: float = 0.0

    def take(self, assignment: Assignment, upload: Upload) -> bool:
        """Counts the next client; whether its upload is a part of the mean.

        Raises:
            NotFinite: it is not finite, and must be or is the last of a cohort without any.
        """
        outcome = self.outcome
        outcome.bytes_up += upload.bytes_up
        outcome.device_seconds += upload.seconds
        if upload.problem is None:
            self.total_weight += assignment.weight
            outcome.work += upload.work
            return True
        if not self.skip:
            raise NotFinite(client_place(assignment.client, self.round), upload.problem, fix=FIX)
        outcome.skipped.append(assignment.client)
        outcome.lost += upload.work
        if len(outcome.skipped) == self.clients:
            found = f"no client of {self.clients} is left; of client {assignment.client} "
            fix = "lower client.lr"
            raise NotFinite(f"round {self.round + 1}", found + upload.problem, fix=fix)
        return False
