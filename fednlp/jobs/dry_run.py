"""What a suite would do and cost; nothing is trained or written to its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fednlp.cards import dataset_card, model_card
from fednlp.jobs.job import Job, Planning, plan_jobs
from fednlp.jobs.rates import Rates
from fednlp.jobs.schedule import makespan
from fednlp.jobs.trials import FOLDER, read_diverged
from fednlp.jobs.whole import WholeSuite
from fednlp.results.tables import human_bytes, human_seconds
from fednlp.shown import without_middle

Seconds = Callable[[Job], tuple[float, bool]]  # and whether finished runs tell them
NARROWEST, LONGEST = 16, 100  # characters of the names of runs: a line of them, and all
_COLUMNS = ("run", "state", "rounds", "examples", "tokens", "sent", "time")


def dry_run(
    whole: WholeSuite, out: Path, at_once: int, rate: float
) -> tuple[list[RenderableType], list[str]]:
    """The plan as tables and lines, and a line for each reason why runs of it cannot be made.

    Args:
        rate: floating-point operations a second of a job, where no finished run tells.
    """
    rates = Rates.of([out, out / FOLDER], rate)
    seconds = cache(partial(_seconds, rates))
    plans: list[tuple[str, Planning]] = []
    told: list[RenderableType] = []
    problems: list[str] = []
    chosen = whole.finals
    if whole.trials is not None:
        if whole.trials.cut():
            told.append(Text(whole.trials.cut()))
        folder = out / FOLDER
        diverged = read_diverged(folder)
        trials = _with_diverged(plan_jobs(whole.trials.wanted(), folder, True), diverged)
        plans.append(("search", trials))
        known = whole.trials.known_scores(trials, diverged)
        chosen = whole.trials.provisional() if known is None else whole.trials.finals(known)[0]
        if known is None:
            told.append(Text("The final runs are planned with the first settings of each search."))
    plans.append(("runs", plan_jobs(chosen, out, True)))
    total, measured = 0.0, True
    for title, planning in plans:
        if planning.jobs:
            told.append(_table(title, planning.jobs, seconds))
        problems += whole.lines(planning.failures)
        left = [job for job in planning.jobs if job.state != "finished"]
        total += makespan(left, lambda job: seconds(job)[0], at_once)
        measured = measured and all(seconds(job)[1] for job in left)
    jobs = f"with --jobs {at_once}" if at_once > 1 else "one after another"
    if not any(planning.jobs for _, planning in plans):
        return told, problems
    source = "at the speed of the finished runs here"
    if not measured:
        source = f"where no finished run here tells, at {rate / 1e9:g} GFLOP/s (--rate)"
    line = Text(f"time {jobs}: about {human_seconds(total)}, {source}")
    return [*told, line], list(dict.fromkeys(problems))


def _with_diverged(planning: Planning, diverged: dict[str, str]) -> Planning:
    """Trials that diverged are as good as finished."""
    jobs = [
        replace(job, state="finished", done=job.cost.rounds) if job.identity.id in diverged else job
        for job in planning.jobs
    ]
    return replace(planning, jobs=jobs)


def _table(title: str, jobs: list[Job], seconds: Seconds) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    # names fold, numbers never do
    table.add_column(_COLUMNS[0], overflow="fold", min_width=NARROWEST)
    table.add_column(_COLUMNS[1], overflow="fold")
    for name in _COLUMNS[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for job in jobs:
        state = job.state
        told = f"{state} from round {job.done}" if state in ("continued", "extended") else state
        name = without_middle(job.name, LONGEST)
        table.add_row(*map(Text, [name, told, *_numbers([job], seconds)]))
    table.add_section()
    states = [job.state for job in jobs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    table.add_row(*map(Text, [f"all {len(jobs)}", counts, *_numbers(jobs, seconds)]))
    return table


def _numbers(jobs: list[Job], seconds: Seconds) -> list[str]:
    """Costs of whole runs; the time is that of what is left."""
    costs = [job.cost for job in jobs]
    return [
        f"{sum(c.rounds for c in costs):,}",
        f"{sum(c.examples for c in costs):,}",
        f"{sum(c.tokens for c in costs):,}",
        human_bytes(sum(c.sent for c in costs)),
        human_seconds(sum(seconds(job)[0] for job in jobs)),
    ]


def _seconds(rates: Rates, job: Job) -> tuple[float, bool]:
    data, model = dataset_card(job.config.dataset.name), model_card(job.config.model.name)
    return rates.seconds(job, data.name, data.task, model.name)
