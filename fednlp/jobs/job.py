"""From the runs that a suite wants to jobs: one per run folder, each with what it waits for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fednlp.config_schema import RunConfig
from fednlp.errors import one_line
from fednlp.experiment import Experiment, prepare_process
from fednlp.identity import Identity, centralized_identity, federated_identity
from fednlp.plan import Plan, counts
from fednlp.results import files
from fednlp.results.manifest import read_manifest
from fednlp.results.own_names import MANIFEST
from fednlp.results.schema import Reference, Tuning
from fednlp.runs import Kind, folder_of, reference_of, shorter_run
from fednlp.trackers.choice import require

PAIR: tuple[Kind, ...] = ("centralized", "federated")
State = Literal["finished", "continued", "extended", "new"]


@dataclass(frozen=True)
class Wanted:
    """A run that is asked for. label: whom to blame. tuning: the search behind either kind."""

    label: str
    config: RunConfig
    kinds: tuple[Kind, ...] = PAIR
    tuning: Mapping[Kind, Tuning] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Of a whole run. tokens: trained on. scored: tokens of validation and test."""

    rounds: int
    examples: int
    tokens: int
    scored: int
    sent: int  # bytes, both directions
    weights: int
    multiplied: int

    @property
    def work(self) -> float:
        """Floating-point operations: 6 per multiplied weight and token, 2 without a backward."""
        return float(self.multiplied) * (6 * self.tokens + 2 * self.scored)


@dataclass(frozen=True, eq=False)
class Job:
    """One run folder to be finished.

    needs: the job of its reference, which must succeed. after: a job of the same trajectory that
    must have ended, since this one may extend its rounds or write the same folder. state, done: how
    many rounds are there already, and where from.
    """

    number: int
    kind: Kind
    label: str
    config: RunConfig
    identity: Identity
    path: Path
    reference: Reference | None
    tuning: Tuning | None
    cost: Cost
    state: State
    done: int
    needs: int | None = None
    after: int | None = None

    @property
    def name(self) -> str:
        return self.label if self.kind == "federated" else f"{self.label}, centralized"

    @property
    def work_left(self) -> float:
        return self.cost.work * (1 - self.done / self.cost.rounds)


@dataclass(frozen=True)
class Planning:
    """jobs: by number. of: label -> the jobs of its run, the reference first. failures: label ->
    the line that says why it cannot run."""

    jobs: list[Job]
    of: dict[str, list[int]]
    failures: dict[str, str]


def plan_jobs(wanted: list[Wanted], out: Path, ask_methods: bool = False) -> Planning:
    """What has to be done, in the order of `wanted`; trains nothing and writes no run folder.

    What data or weights show, such as a missing file, fails the runs that want them. ask_methods:
    for what they send; hooks of a third party, whatever they do, are then called here.
    """
    found: dict[int, list[_Part] | str] = {}
    lent = _Lent()
    known = _trajectories(out)
    for number in _by_model(wanted):
        one = wanted[number]
        try:
            require(one.config.trackers)
            prepare_process(one.config)
            experiment = Experiment(one.config)
            lent.to(experiment)
            found[number] = list(
                _parts(one, counts(experiment, ask_methods), experiment, out, known)
            )
            lent.take(experiment)
        except (ValueError, OSError) as error:
            line = one_line(error)
            if line is None:
                raise
            found[number] = line
    return _numbered([(one, found[n]) for n, one in enumerate(wanted)])


@dataclass(frozen=True)
class _Part:
    """One of the runs of a `Wanted`."""

    kind: Kind
    identity: Identity
    path: Path
    reference: Reference | None
    cost: Cost
    state: State
    done: int


def _parts(
    one: Wanted, plan: Plan, experiment: Experiment, out: Path, known: set[str]
) -> Iterator[_Part]:
    for kind in one.kinds:
        if kind == "centralized" and one.config.centralized.budget == "none":
            continue
        of = federated_identity if kind == "federated" else centralized_identity
        identity = of(experiment)
        path = folder_of(identity, out)
        state, done = _state(identity, path, out, known)
        reference = reference_of(experiment) if kind == "federated" else None
        yield _Part(kind, identity, path, reference, _cost(plan, kind, identity), state, done)


def _numbered(found: list[tuple[Wanted, list[_Part] | str]]) -> Planning:
    planning = Planning([], {}, {})
    numbers: dict[str, int] = {}
    references: dict[str, int] = {}
    for one, parts in found:
        if isinstance(parts, str):
            planning.failures[one.label] = parts
            continue
        for part in parts:
            tuning = one.tuning.get(part.kind)
            compared = part.reference.id if part.reference else ""
            key = f"{part.identity.id} {compared} {tuning.model_dump_json() if tuning else ''}"
            if key not in numbers:
                numbers[key] = number = len(planning.jobs)
                if part.kind == "centralized":
                    references[part.identity.id] = number
                needs = references.get(compared)
                values: dict[str, Any] = vars(part)
                planning.jobs.append(
                    Job(number=number, label=one.label, config=one.config, tuning=tuning,
                        needs=needs, **values)
                )  # fmt: skip
            planning.of.setdefault(one.label, []).append(numbers[key])
    return Planning(_chained(planning.jobs), planning.of, planning.failures)


def _chained(jobs: list[Job]) -> list[Job]:
    """Jobs of one trajectory one after another, the shorter first, which the longer then extend."""
    before: dict[str, Job] = {}
    found = {job.number: job for job in jobs}
    for job in sorted(jobs, key=lambda job: (job.identity.rounds, job.number)):
        last = before.get(job.identity.trajectory)
        if last is not None:
            done = last.identity.rounds
            longer = job.done < done < job.identity.rounds and done % job.identity.every == 0
            if longer and job.state in ("new", "extended"):
                job = replace(job, state="extended", done=done)
            found[job.number] = replace(job, after=last.number)
        before[job.identity.trajectory] = job
    return [found[job.number] for job in jobs]


def _cost(plan: Plan, kind: Kind, identity: Identity) -> Cost:
    alone = kind == "centralized"
    return Cost(
        rounds=identity.rounds,
        examples=plan.centralized_examples if alone else plan.examples,
        tokens=plan.centralized_tokens if alone else plan.tokens,
        scored=plan.scored_tokens,
        sent=0 if alone else plan.bytes_down + plan.bytes_up + plan.bytes_base,
        weights=plan.trainable + plan.frozen,
        multiplied=plan.multiplied,
    )


def _state(identity: Identity, path: Path, out: Path, known: set[str]) -> tuple[State, int]:
    if files.stands(path / "result.json"):
        return "finished", identity.rounds
    if files.stands(path / MANIFEST):
        completed = read_manifest(path / MANIFEST).completed
        if completed:
            return "continued", completed
    donor = shorter_run(identity, out, path) if identity.trajectory in known else None
    if donor is not None:
        return "extended", read_manifest(donor / MANIFEST).completed
    return "new", 0


def _trajectories(out: Path) -> set[str]:
    """Those of the run folders here, so that not every job looks through all of them."""
    found = set()
    for path in files.entries(out) if files.stands(out) else []:
        try:
            found.add(str(json.loads((path / "identity.json").read_bytes())["trajectory"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # whoever needs it will tell
    return found


# parts of experiments ----------------------------------------------------------------------------


def _model_key(config: RunConfig) -> str:
    """Equal where model, tokens and stores are."""
    sections = {"dataset", "model", "tokens", "seed", "precision", "engine"}
    return json.dumps(config.model_dump(mode="json", include=sections), sort_keys=True)


def _by_model(wanted: Iterable[Wanted]) -> list[int]:
    """Positions, those of one model together, so that it is built once."""
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(wanted):
        groups.setdefault(_model_key(one.config), []).append(number)
    return [number for group in groups.values() for number in group]


class _Lent:
    """Model and token stores of the last experiment, for the next one that has the same."""

    NAMES = ("corpus", "task", "tokenizer", "token_stores", "model", "initial_weights")

    def __init__(self) -> None:
        self._key, self._parts = "", dict[str, Any]()

    def to(self, experiment: Experiment) -> None:
        if self._key == _model_key(experiment.config):
            experiment.__dict__.update(self._parts)

    def take(self, experiment: Experiment) -> None:
        self._key = _model_key(experiment.config)
        self._parts = {name: getattr(experiment, name) for name in self.NAMES}
