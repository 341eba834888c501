"""From which stored states rounds can be replayed, and which rounds are drawn for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fednlp.results.files import stands
from fednlp.results.schema import left_out
from fednlp.verification.evidence import Evidence


@dataclass(frozen=True)
class Start:
    """A state to replay from.

    completed: rounds before it; 0 is the initial weights, which need no file.
    reach: the last round that can be replayed from it.
    clients: client -> file of its state after `completed` rounds.
    """

    completed: int
    reach: int
    file: str | None = None
    clients: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """Rounds start.completed + 1 ... until, of which some were drawn."""

    start: Start
    until: int
    drawn: tuple[int, ...]


def starts(evidence: Evidence) -> list[Start]:
    """The initial weights and every stored checkpoint that rounds can be replayed from."""
    manifest, last = evidence.manifest, evidence.result.costs.rounds
    files = {int(number): name for number, name in manifest.kept.items()}
    files |= {n: f for n, f in ((manifest.best_round, manifest.best),) if n and f}
    found = [Start(0, last)]
    for number, file in sorted(files.items()):
        if number < last and stands(evidence.path / file):
            clients, reach = _states(evidence, number)
            if reach > number:
                found.append(Start(number, reach, file, clients))
    return found


def _states(evidence: Evidence, completed: int) -> tuple[dict[str, str], int]:
    """States of clients after so many rounds, and the last round that needs no other.

    The manifest has the states after the last and after the selected round. One of them is that of
    an earlier round too, where the client did not take part in between.
    """
    manifest, last = evidence.manifest, evidence.result.costs.rounds
    if not manifest.clients:  # a method that keeps none
        return {}, last
    newest: dict[int, int] = {}
    for record in evidence.rounds[:completed]:
        for client in record["clients"]:
            if client not in left_out(record):
                newest[client] = record["round"] - 1
    known = {*manifest.clients.values(), *manifest.best_clients.values()}
    names = {k: f"clients/{k:06d}-{round:06d}.safetensors" for k, round in newest.items()}
    states = {
        str(k): name for k, name in names.items() if name in known and stands(evidence.path / name)
    }
    for record in evidence.rounds[completed:]:
        if any(k in newest and str(k) not in states for k in record["clients"]):
            return states, record["round"] - 1
    return states, last


def segments(evidence: Evidence, rounds: int | None, rng: np.random.Generator) -> list[Segment]:
    """The replays that check `rounds` rounds, drawn from all of them, whatever is stored.

    Each goes from the nearest stored state before it. Where all rounds are asked for (None, or as
    many as there are), they are made again in one piece from the initial weights, since whoever
    wrote the stored states may have put anything into them.
    """
    found, last = starts(evidence), evidence.result.costs.rounds
    if rounds is None or rounds >= last:
        return [Segment(found[0], last, tuple(range(1, last + 1)))]
    nearest: dict[int, Start] = {}
    for start in found:
        for number in range(start.completed + 1, start.reach + 1):
            nearest[number] = start  # in order, so the last one is the nearest
    drawn = np.sort(rng.permutation(np.arange(1, last + 1))[:rounds]).tolist()
    return list(_grouped(nearest, drawn))


def _grouped(nearest: dict[int, Start], drawn: list[int]) -> Iterator[Segment]:
    for start in sorted({nearest[number].completed for number in drawn}):
        members = tuple(n for n in drawn if nearest[n].completed == start)
        yield Segment(nearest[members[0]], members[-1], members)
