"""The trials of a suite's search, and the final runs with the settings that it chose.

Trials are runs in a folder of their own, `tuning` beside the final runs, so that no table takes
them for results. What a trial is worth is read from its rounds' validation; its test scores are not
looked at. Weights that became NaN or infinite make a trial the worst there is, and are no error;
`diverged.json` remembers them, so that such a trial is not made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fednlp.config_schema import RunConfig, central_client
from fednlp.errors import UserError
from fednlp.jobs.job import Planning, Wanted
from fednlp.jobs.run import Outcomes
from fednlp.results import files
from fednlp.results.reading import FinishedRun, load_run
from fednlp.results.schema import Tuning
from fednlp.runs import Kind
from fednlp.search import Grid, Search, require_enough, select, settings
from fednlp.suite import Cell, Suite

FOLDER = "tuning"
DIVERGED = "diverged.json"


def validation_score(run: FinishedRun) -> float:
    """The primary metric on validation of the best round."""
    return max(value for _, value in run.validation_curve())


def read_diverged(folder: Path) -> dict[str, str]:
    """Ids of trials whose weights became NaN or infinite -> the line that said so."""
    path = folder / DIVERGED
    if not files.stands(path):
        return {}
    known = files.read_json(path)
    if not isinstance(known, dict):
        raise files.not_read(path, OSError("is no mapping"))
    return {str(key): str(value) for key, value in known.items()}


def write_diverged(folder: Path, known: dict[str, str]) -> None:
    files.write_json(folder / DIVERGED, known)


@dataclass(frozen=True)
class _Searched:
    """A search: of a cell's method or of its reference. wanted: its runs, by trial and seed."""

    cell: Cell
    kind: Kind
    grid: Grid
    tried: list[dict[str, Any]]
    rounds: int
    wanted: list[list[Wanted]]


class Trials:
    """All searches of a suite.

    Raises:
        UserError: a cell has not enough values for its trials, or a configuration is none.
    """

    def __init__(self, suite: Suite, search: Search) -> None:
        self.suite, self.search = suite, search
        self.searches = [one for cell in suite.cells for one in self._of_cell(cell)]

    def cut(self) -> str:
        """A line on trials that were asked for more rounds than their runs have, or ""."""
        asked = self.search.rounds or 0
        fewer = sorted({s.rounds for s in self.searches if s.rounds < asked})
        if not fewer:
            return ""
        rounds = ", ".join(map(str, fewer))
        return f"tune.rounds is {asked}: trials are cut to the rounds of their runs, {rounds}."

    def wanted(self) -> list[Wanted]:
        return [one for s in self.searches for trial in s.wanted for one in trial]

    def _of_cell(self, cell: Cell) -> Iterator[_Searched]:
        base = self.suite.run(cell, self.suite.seeds[0]).config
        kinds: list[tuple[Kind, Grid]] = [("federated", self.search.of_cell(cell.chosen))]
        if base.centralized.budget != "none":
            kinds.insert(0, ("centralized", self.search.central))
        for kind, grid in kinds:
            where = f"{self.suite.path}: tune, {kind} ({cell.label})"
            if kind == "centralized" and not grid:
                found = "has nothing to search, since nothing of `client` is in tune.search"
                raise UserError(where, found, fix="name keys of `client` in tune.centralized")
            require_enough(grid, self.search.trials, where)
            tried = settings(grid, self.search.trials)
            rounds = min(self.search.rounds or base.rounds, base.rounds)
            wanted = [
                [self._trial(cell, base, kind, n, values, rounds, s) for s in self.search.seeds]
                for n, values in enumerate(tried, start=1)
            ]
            yield _Searched(cell, kind, grid, tried, rounds, wanted)

    def _trial(
        self,
        cell: Cell,
        base: RunConfig,
        kind: Kind,
        number: int,
        values: dict[str, Any],
        rounds: int,
        seed: int,
    ) -> Wanted:
        changes: dict[str, Any] = {"seed": seed, "rounds": rounds, "evaluation.local_only": 0}
        if kind == "federated":
            changes |= {**values, "centralized.budget": "none"}
        else:
            changes["centralized.client"] = self._central(base, values)
        shown = ", ".join(f"{key} {value}" for key, value in values.items())
        prefix = "centralized trial" if kind == "centralized" else "trial"
        run = self.suite.run(cell, seed, changes, f"{prefix} {number}: {shown}")
        return Wanted(run.label, run.config, kinds=(kind,))

    def _central(self, base: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
        """`centralized.client`: nothing of it depends on what a method chose for its clients."""
        own = central_client(base).model_dump()
        return {**{key: own[key] for key in self.search.of_clients() if key in own}, **values}

    # what came of them ---------------------------------------------------------------------------

    def scores(
        self, planning: Planning, outcomes: Outcomes, diverged: dict[str, str]
    ) -> dict[str, float | str | None]:
        """label -> validation; None where it diverged; the line where it failed otherwise."""
        found: dict[str, float | str | None] = dict(outcomes.failures)
        read: dict[int, float] = {}
        for label, (number,) in planning.of.items():
            job = planning.jobs[number]
            if job.identity.id in diverged:
                found[label] = None
            elif label not in found:
                if number not in read:
                    read[number] = validation_score(load_run(job.path))
                found[label] = read[number]
        return found

    def known_scores(
        self, planning: Planning, diverged: dict[str, str]
    ) -> dict[str, float | str | None] | None:
        """`scores` where all trials have been made; None where some have not."""
        known = [job.state == "finished" or job.identity.id in diverged for job in planning.jobs]
        if planning.failures or not all(known):
            return None
        return self.scores(planning, Outcomes(), diverged)

    def finals(self, scores: dict[str, float | str | None]) -> tuple[list[Wanted], dict[str, str]]:
        """The final runs, and label -> line of those without settings."""
        wanted, failures = [], {}
        for cell in self.suite.cells:
            tunings: dict[Kind, Tuning] = {}
            problem = ""
            for searched in (s for s in self.searches if s.cell is cell):
                chosen = self._chosen(searched, scores)
                if isinstance(chosen, str):
                    problem = problem or chosen
                else:
                    tunings[searched.kind] = chosen
            for seed in self.suite.seeds:
                if problem:
                    failures[self.suite.run(cell, seed).label] = problem
                else:
                    wanted.append(self._final(cell, seed, tunings))
        return wanted, failures

    def provisional(self) -> list[Wanted]:
        """The final runs with the first settings of every search, before it is made."""
        first = {one.label: 0.0 for one in self.wanted()}
        return self.finals(dict(first))[0]

    def _final(self, cell: Cell, seed: int, tunings: dict[Kind, Tuning]) -> Wanted:
        base = self.suite.run(cell, seed).config
        values = {kind: tuning.trials[tuning.chosen].values for kind, tuning in tunings.items()}
        changes = dict(values["federated"])
        if "centralized" in values:
            changes["centralized.client"] = self._central(base, values["centralized"])
        run = self.suite.run(cell, seed, changes)
        return Wanted(run.label, run.config, tuning=tunings)

    def _chosen(self, searched: _Searched, scores: dict[str, float | str | None]) -> Tuning | str:
        """The search's end, or why it has none."""
        found: list[list[float | None]] = []
        for trial in searched.wanted:
            found.append([])
            for one in trial:
                score = scores[one.label]
                if isinstance(score, str):
                    return f"{one.label}: {score}"
                found[-1].append(score)
        kind, seeds = searched.kind, self.search.seeds
        tuning = select(searched.grid, searched.tried, found, seeds, searched.rounds)
        if tuning is None:
            return f"tune: the weights of all {len(found)} {kind} trials became NaN or infinite"
        return tuning
