"""A whole suite: first its search, if it has one, then its final runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from fednlp.errors import UserError
from fednlp.experiment import check_components
from fednlp.jobs.job import Job, Planning, Wanted, plan_jobs
from fednlp.jobs.run import Outcomes, Runner
from fednlp.jobs.trials import FOLDER, Trials, read_diverged, write_diverged
from fednlp.jobs.view import View
from fednlp.suite import Suite


@dataclass(frozen=True)
class Finished:
    """What a suite came to. folders: of its runs and references. alone: lines on runs without one.

    failures: lines, each with the runs that it stops; runs: how many there are, failed: of them.
    told: nothing ran, so that all failures have been told. faults: of this program.
    """

    runs: int
    failed: int
    folders: set[str]
    alone: list[str]
    failures: list[str]
    told: bool
    faults: bool


class WholeSuite:
    """A suite whose configurations are all valid.

    Raises:
        UserError: one is not, as far as configuration and cards tell.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.trials = Trials(suite, suite.search) if suite.search else None
        self.finals = [Wanted(run.label, run.config) for _, run in suite.runs()]
        for one in [*(self.trials.wanted() if self.trials else []), *self.finals]:
            check_components(one.config, f"{suite.path} ({one.label})")

    @property
    def title(self) -> str:
        """What it consists of, in words."""
        words = f"{len(self.finals)} federated runs and the references they need"
        search = self.suite.search
        if self.trials and search:
            seeds = len(search.seeds)
            words += (
                f"; before them, for every method and reference, {search.trials} trials with "
                f"{seeds} seed{'s' * (seeds > 1)}"
            )
        return words

    def run(self, out: Path, console: Console, at_once: int, allow_inexact: bool) -> Finished:
        """Makes all runs that are not there yet.

        Raises:
            UserError: nothing can be written to `out`, or the suite's only run failed in planning.
        """
        _make(out)
        if at_once > 1:
            threads = max(1, torch.get_num_threads() // at_once)
            words = f"{at_once} jobs at once, {threads} thread{'s' * (threads > 1)} each"
            console.print(f"{words} unless engine.threads says otherwise", highlight=False)
        wanted, unset, faults = self.finals, dict[str, str](), False
        if self.trials is not None:
            wanted, unset, faults = self._search(out, console, at_once, allow_inexact)
        planning = plan_jobs(wanted, out)
        self._report(planning.failures)
        runner = Runner(out, allow_inexact, at_once)
        outcomes = runner.run(planning, lambda jobs: View(console, "runs", jobs))
        folders, alone = _made(planning, outcomes)
        failures = {**unset, **outcomes.failures}
        return Finished(
            runs=len(self.finals),
            failed=len(failures),
            folders=folders,
            alone=alone,
            failures=self.lines(failures),
            told=not planning.jobs and not unset,
            faults=faults or outcomes.faults,
        )

    def _report(self, failures: dict[str, str]) -> None:
        """What data and weights have shown, before the first run starts."""
        for line in self.lines(failures):
            print(line, file=sys.stderr)

    def lines(self, failures: dict[str, str]) -> list[str]:
        """One line for every reason, however many runs it stops."""
        reasons: dict[str, list[str]] = {}
        for label, line in failures.items():
            reasons.setdefault(line, []).append(label)
        lines = []
        for line, (first, *others) in reasons.items():
            more = f" and {len(others)} more" if others else ""
            lines.append(f"error: {self.suite.path} ({first}{more}): {line}")
        return lines

    def _search(
        self, out: Path, console: Console, at_once: int, allow_inexact: bool
    ) -> tuple[list[Wanted], dict[str, str], bool]:
        """The final runs with what the search chose, and label -> line of those without."""
        assert self.trials is not None
        folder = out / FOLDER
        _make(folder)
        diverged = read_diverged(folder)
        planning = plan_jobs(self.trials.wanted(), folder)
        self._report(planning.failures)

        def remember(job: Job) -> None:
            diverged[job.identity.id] = job.name
            write_diverged(folder, diverged)

        known = frozenset(diverged)
        runner = Runner(folder, allow_inexact, at_once, remember, known)
        outcomes = runner.run(planning, lambda jobs: View(console, "search", jobs))
        scores = self.trials.scores(planning, outcomes, diverged)
        return *self.trials.finals(scores), outcomes.faults


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder}", f"cannot be made ({error.strerror})") from None


def _made(planning: Planning, outcomes: Outcomes) -> tuple[set[str], list[str]]:
    """The folders of the runs that are whole, and a line for each that has no reference."""
    folders, alone = set[str](), list[str]()
    for label, numbers in planning.of.items():
        if label in outcomes.failures:
            continue
        ended = [outcomes.ended[number] for number in numbers]
        folders |= {one.folder for one in ended}
        if len(ended) == 1:
            alone.append(f"{ended[0].folder}: {ended[0].score}")
    return folders, alone
