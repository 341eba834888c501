"""Which rounds of a run the replays come past, and what that proves.

Whoever writes a run folder chooses which states it holds, and what is in them. Only the initial
weights are made here, so only what is trained from them in one piece is proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fednlp.verification.evidence import Evidence
from fednlp.verification.starts import Segment
from fednlp.verification.weights import stored_rounds


@dataclass(frozen=True)
class Coverage:
    """Of a run of `total` rounds.

    drawn, replayed: rounds that were drawn, and those that are trained again for it. jumps: rounds
    whose state is stored, but to which no replayed round leads. whole: all rounds are trained again
    in one piece from the initial weights. seconds: what the run says that the replayed rounds took.
    """

    total: int
    drawn: tuple[int, ...]
    replayed: tuple[int, ...]
    jumps: tuple[int, ...]
    whole: bool
    seconds: float

    @classmethod
    def of(cls, evidence: Evidence, segments: Sequence[Segment]) -> Coverage:
        total = evidence.result.costs.rounds
        replayed = {n for s in segments for n in range(s.start.completed + 1, s.until + 1)}
        return cls(
            total,
            tuple(n for segment in segments for n in segment.drawn),
            tuple(sorted(replayed)),
            tuple(sorted(stored_rounds(evidence) - replayed)),
            any(s.start.completed == 0 and s.until == total for s in segments),
            sum(evidence.rounds[n - 1].get("device_seconds") or 0.0 for n in replayed),
        )

    @property
    def missing(self) -> list[int]:
        """Rounds that no replay comes past."""
        return sorted({*range(1, self.total + 1)} - {*self.replayed})

    def cost(self) -> str:
        """What the replays will take, in words."""
        count = f"{len(self.replayed)} of {_counted(self.total, 'round')}"
        return f"training {count} again, which took the run {self.seconds:.0f} s"

    def words(self) -> str:
        """What the replays prove."""
        if self.whole:
            return f"all {_counted(self.total, 'round')} trained again from the initial weights"
        told = [
            f"{len(self.replayed)} of {_counted(self.total, 'round')} trained again",
            f"a single forged round is found with a chance of {len(self.drawn)} in {self.total}",
        ]
        if self.missing:
            told.insert(1, f"not {spans(self.missing)}")
        if self.jumps:
            told.append(f"no replay leads to the stored state of {spans(self.jumps)}")
        return f"{'; '.join(told)}; --rounds {self.total} settles it"

    def as_json(self) -> dict[str, Any]:
        return {
            "rounds": self.total,
            "drawn": list(self.drawn),
            "replayed": list(self.replayed),
            "stored_but_not_reached": list(self.jumps),
            "whole": self.whole,
        }


def spans(rounds: Iterable[int]) -> str:
    """Rounds in words, at most six stretches: `rounds 2-4, 7`."""
    found: list[list[int]] = []
    for number in sorted(rounds):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    told = [f"{s[0]}-{s[-1]}" if len(s) > 1 else f"{s[0]}" for s in found]
    name = "round" if len(found) == 1 and len(found[0]) == 1 else "rounds"
    return f"{name} {', '.join([*told[:6], *(['...'] if len(told) > 6 else [])])}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
