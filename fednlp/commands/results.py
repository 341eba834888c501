"""Commands that read finished runs: tables, plots, pages, submissions, trackers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fednlp.commands.options import RunsDir, not_empty
from fednlp.console import console
from fednlp.errors import UserError, nearest
from fednlp.shown import shown

if TYPE_CHECKING:
    from fednlp.results.gap import Gap

LONGEST_PROBLEM = 1000  # characters of the line of a folder that is passed over


def gap(
    runs_dir: RunsDir,
    form: Annotated[str, typer.Option("--format", help="table, markdown, csv or json")] = "table",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="every two methods: over seeds and test examples")
    ] = False,
) -> None:
    """Print the gap to centralized training of all finished runs in a directory."""
    if form not in ("table", "markdown", "csv", "json"):
        forms = ["table", "markdown", "csv", "json"]
        raise UserError("--format", f"found '{form}'", fix=nearest(form, forms))
    if not (_print_pairs if pairs else print_gaps)(runs_dir, form):
        raise _no_gap(runs_dir)


def plot(runs_dir: RunsDir) -> None:
    """Draw curves against the centralized line, and metric against bytes."""
    from fednlp.results.gap import gaps
    from fednlp.results.reading import load_runs

    problems: list[str] = []
    table = gaps(load_runs(runs_dir, problems), problems)
    _report(problems)
    if not table:
        raise _no_gap(runs_dir)
    print_plots(table, runs_dir)


def leaderboard(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="run folders, directories of them, submissions, any number"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="SITE", help="write a site that opens from disk"),
    ] = None,
) -> None:
    """Rank methods by their gap, in the terminal or as a site made of plain files."""
    from fednlp.leaderboard.build import board_of, build
    from fednlp.leaderboard.terminal import summary, terminal

    if out is None:
        board = board_of(sources)
        _report(list(board.problems))
        console.print(terminal(board, console.width))
        return
    built = build(sources, not_empty(out))
    _report(list(built.board.problems))
    for line in summary(built):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def export_model(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR")],
    target: Annotated[Path, typer.Argument(metavar="DIR", help="must not exist")],
) -> None:
    """Write the selected weights of a run as a `save_pretrained` folder."""
    from transformers.utils import logging

    from fednlp.export import export

    logging.disable_progress_bar()  # one for weights that are written at once
    export(run_dir, target)
    console.print(f"model and tokenizer: {target}", highlight=False, soft_wrap=True)


def track(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="finished runs")],
    to: Annotated[list[str], typer.Option("--to", help="tensorboard, wandb or mlflow")],
) -> None:
    """Send finished runs to a tracker; its local files are in trackers/ beside the run folders."""
    from fednlp.trackers.send import send

    problems: list[str] = []
    for run_dir in run_dirs:
        found = send(run_dir, to)
        if not found:
            console.print(f"sent: {run_dir}", highlight=False, soft_wrap=True)
        problems += [f"{run_dir}: {problem}" for problem in found]
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        raise typer.Exit(1)


def submit(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="finished runs")],
    out: Annotated[Path, typer.Option("--out", help="a zip file that does not exist")],
    name: Annotated[str, typer.Option(help="who submits")] = "",
    note: Annotated[str, typer.Option(help="when and how they were made, a licence")] = "",
    weights: Annotated[bool, typer.Option("--weights", help="the stored weights too")] = False,
) -> None:
    """Pack finished runs, with the references they are compared with, into one file."""
    from fednlp.submissions.pack import pack

    for folder in pack(run_dirs, out, name=name, note=note, weights=weights):
        console.print(f"packed: {folder}", highlight=False, soft_wrap=True)
    console.print(f"submission: {out}", highlight=False, soft_wrap=True)


def verify(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR|ENTRY.zip")],
    rounds: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="trained again, drawn at random if not all; 0: only check what is written",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="by which they are drawn", show_default="random")
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="execute a method that is not published here")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check a finished run and its references, or a submission, and train its rounds again.

    Exit code 1 if a check fails, a replay is not possible, or the scores are not verified, which
    takes all rounds.
    """
    import json
    from functools import partial

    from fednlp.verification.table import report_table, verdict
    from fednlp.verification.verify import verify as reports

    found = []
    tell = partial(print, file=sys.stderr)
    for report in reports(path, rounds, seed, trust_code, tell):
        found.append(report)
        if not as_json:
            console.print(report_table(report))
            console.print(verdict(report), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps([report.as_json() for report in found], indent=1))
    if not all(report.passed for report in found):
        raise typer.Exit(1)


def print_gaps(runs_dir: Path, form: str, only: set[str] | None = None) -> list[Gap]:
    from fednlp.results import comparison_tables, tables
    from fednlp.results.gap import gaps
    from fednlp.results.method_comparison import contests
    from fednlp.results.reading import load_runs

    problems: list[str] = []
    runs = load_runs(runs_dir, problems)
    chosen = [run for run in runs if only is None or run.path.name in only]
    table = gaps(chosen, problems)
    _report(problems)
    if form != "table":
        print(tables.text(table, form), end="")
        return table
    if not table:
        return table
    console.print(tables.terminal(table, console.width))
    for note in tables.footnotes(table):
        console.print(note, style="dim", highlight=False, markup=False)
    compared = comparison_tables.worth_comparing(contests(table))
    if compared:
        console.print(comparison_tables.terminal(compared, console.width))
    return table


def _print_pairs(runs_dir: Path, form: str) -> list[Gap]:
    from fednlp.results.comparison_tables import pairs_text
    from fednlp.results.example_comparison import example_difference
    from fednlp.results.gap import gaps
    from fednlp.results.method_comparison import contests
    from fednlp.results.reading import load_runs

    problems: list[str] = []
    table = gaps(load_runs(runs_dir, problems), problems)
    found: list[Any] = []
    for contest in contests(table):
        for pair in contest.pairs:
            examples = None
            if pair.seeds:
                try:
                    runs = contest.runs
                    examples = example_difference(runs[pair.first], runs[pair.second])
                except UserError as error:
                    problems.append(str(error))
            found.append((contest, pair, examples))
    _report(problems)
    if table and not found:
        raise UserError(str(runs_dir), "no two methods of one benchmark", fix="run another one")
    print(pairs_text(found, form), end="")
    return table


def print_plots(table: list[Gap], runs_dir: Path) -> None:
    from fednlp.results.plots import plot_gaps

    for path in plot_gaps(table, runs_dir / "plots"):
        console.print(f"plot: {path}", markup=False, highlight=False, soft_wrap=True)


def _no_gap(runs_dir: Path) -> UserError:
    if (runs_dir / "result.json").exists():
        expected, fix = "the directory that holds it", f"name {runs_dir.resolve().parent}"
        return UserError(str(runs_dir), "is a run folder", expected, fix)
    found = "holds no finished federated run with its centralized reference"
    return UserError(str(runs_dir), found, fix="run one first")


def _report(problems: list[str]) -> None:
    for problem in problems:
        print(f"skipped: {shown(problem, LONGEST_PROBLEM)}", file=sys.stderr)
