"""The commands. Heavy imports happen inside them, so that `--help` answers at once."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fednlp.console import console
from fednlp.errors import UserError, one_line
from fednlp.partitions.commands import app as partition_app
from fednlp.shown import shown

if TYPE_CHECKING:
    from fednlp.results.gap import Gap

PROGRAM = "run_bench.py"
_INTERRUPTED = 130
LONGEST_PROBLEM = 1000  # characters of the line of a folder that is passed over
app = typer.Typer(
    name=PROGRAM,
    help="A federated NLP benchmark: the gap to centralized training, on four tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(partition_app)
# By default a waiting OpenMP thread spins, so that another program on one core costs us an order of
# magnitude. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key.sub=value]...")]
ConfigFile = Annotated[
    str, typer.Argument(metavar="CONFIG", help="a YAML file, or its name in configs/")
]
RunsDir = Annotated[Path, typer.Argument(metavar="RUNS_DIR", help="a directory of run folders")]


def _not_empty(path: Path) -> Path:
    """`--out "$UNSET"` would be the current directory."""
    if path == Path():
        raise UserError("--out", "is empty or the current directory", "a directory for run folders")
    return path


Out = Annotated[Path, typer.Option("--out", help="where run folders are kept", callback=_not_empty)]
SkipBad = Annotated[
    int, typer.Option("--skip-bad", min=0, help="leave out at most so many bad records")
]
AllowInexact = Annotated[
    bool, typer.Option("--allow-inexact", help="continue a run under other threads or versions")
]


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="for example 0,1,2; default: the configured seed", show_default=False),
    ] = None,
    out: Out = Path("runs"),
    allow_inexact: AllowInexact = False,
    skip_bad: SkipBad = 0,
    profile: Annotated[bool, typer.Option("--profile", help="tell where the time went")] = False,
) -> None:
    """Run a configuration and its centralized reference, and print the gap.

    Run again, it only prints; killed and run again, it continues; with more rounds, it extends.
    """
    from fednlp import config as configuration
    from fednlp.places import config_file
    from fednlp.profile import clock

    if profile:
        clock.start()
    path = config_file(config)
    chosen = _seeds(seeds)
    texts = _with_skip_bad(overrides, skip_bad)
    configs = [configuration.load(path, [*texts, f"seed={seed}"]) for seed in chosen] or [
        configuration.load(path, texts)
    ]
    _run_all([(str(path), entry) for entry in configs], out, allow_inexact)


@app.command()
def suite(
    suite: Annotated[
        str, typer.Argument(metavar="SUITE", help="a YAML file, or its name in configs/")
    ],
    overrides: Overrides = None,
    out: Out = Path("runs"),
    allow_inexact: AllowInexact = False,
    skip_bad: SkipBad = 0,
    beat_floor: Annotated[
        bool, typer.Option("--beat-floor", help="fail if a centralized run is not above its floor")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="runs at once, a process each")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="tell the plan and its cost")] = False,
    rate: Annotated[
        float,
        typer.Option(min=1e-3, help="of --dry-run: GFLOP/s of a job, where no finished run tells"),
    ] = 20.0,
) -> None:
    """Run a matrix of configurations, reusing finished runs and shared references.

    Run again, it continues. --dry-run only tells what would be done, and what that would cost.
    """
    from fednlp.engines.nursery import begin_early, worker_context
    from fednlp.places import config_file
    from fednlp.suite import read_suite

    described = read_suite(config_file(suite), _with_skip_bad(overrides, skip_bad))
    planned = [] if dry_run else [entry.config for _, entry in described.runs()]
    if jobs > 1 and planned:
        worker_context()  # its server imports the libraries while this process does
    for config in planned if jobs == 1 else []:
        begin_early(config.engine)
    from fednlp.jobs.whole import WholeSuite

    whole = WholeSuite(described)
    console.print(whole.title, highlight=False, markup=False)
    if dry_run:
        from fednlp.jobs.dry_run import dry_run as planned_costs

        told, problems = planned_costs(whole, out, jobs, 1e9 * rate)
        for part in told:
            console.print(part, highlight=False)
        for problem in problems:
            print(problem, file=sys.stderr)
        raise typer.Exit(2 if problems else 0)
    finished = whole.run(out, console, jobs, allow_inexact)
    for line in finished.alone:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    failures = [] if finished.told else finished.failures
    gaps = _print_result(out, finished.folders, failures, finished.failed, finished.runs)
    if gaps:  # none without references
        _plot(gaps, out)
    if finished.failed:
        raise typer.Exit(1 if finished.faults else 2)
    below = sorted({g.benchmark for g in gaps if g.centralized <= g.floor})
    if beat_floor and below:
        print("centralized does not beat the floor:", *below, sep="\n", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def gap(
    runs_dir: RunsDir,
    form: Annotated[str, typer.Option("--format", help="table, markdown, csv or json")] = "table",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="every two methods: over seeds and test examples")
    ] = False,
) -> None:
    """Print the gap to centralized training of all finished runs in a directory."""
    if form not in ("table", "markdown", "csv", "json"):
        raise UserError("--format", f"found '{form}'", "table, markdown, csv or json")
    if not (_print_pairs if pairs else _print_gaps)(runs_dir, form):
        raise _no_gap(runs_dir)


@app.command()
def plot(runs_dir: RunsDir) -> None:
    """Draw curves against the centralized line, and metric against bytes."""
    from fednlp.results.gap import gaps
    from fednlp.results.reading import load_runs

    problems: list[str] = []
    table = gaps(load_runs(runs_dir, problems), problems)
    _report(problems)
    if not table:
        raise _no_gap(runs_dir)
    _plot(table, runs_dir)


@app.command()
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
    built = build(sources, _not_empty(out))
    _report(list(built.board.problems))
    for line in summary(built):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(metavar="tasks|datasets|models|partitioners|algorithms|formats")
    ],
) -> None:
    """List what a configuration can name."""
    from fednlp.catalogue import CATALOGUES, catalogue

    if what not in CATALOGUES:
        from fednlp.errors import nearest

        raise UserError("list", f"cannot list '{what}'", fix=nearest(what, list(CATALOGUES)))
    console.print(catalogue(what))


@app.command()
def show(config: ConfigFile, overrides: Overrides = None, skip_bad: SkipBad = 0) -> None:
    """Show the resolved configuration, what was read and what it would cost; runs nothing."""
    import yaml

    from fednlp import config as configuration
    from fednlp.experiment import Experiment, check_components, prepare_process
    from fednlp.places import config_file
    from fednlp.plan import plan
    from fednlp.results.tables import data_table, plan_table

    path = config_file(config)
    resolved = configuration.load(path, _with_skip_bad(overrides, skip_bad))
    check_components(resolved, str(path))
    prepare_process(resolved)
    experiment = Experiment(resolved)
    cost = plan_table(plan(experiment))  # an error comes alone, not below all this
    data = data_table(experiment.corpus, experiment.partition.splits["train"].sizes())
    console.print(
        yaml.safe_dump(resolved.resolved(), sort_keys=False), markup=False, highlight=False
    )
    console.print(data)
    console.print(cost)


@app.command()
def check(
    method: Annotated[str, typer.Argument(metavar="path/to/mine.py:MyMethod")],
) -> None:
    """Run the conformance kit on a new federated method."""
    from fednlp.conformance import check_method

    failed = 0
    for outcome in check_method(method):
        mark = "[green]ok[/]  " if outcome.passed else "[red]fails[/]"
        console.print(f"{mark} {outcome.name}", end="")
        console.print(
            f": {outcome.detail}" if outcome.detail else "", markup=False, highlight=False
        )
        failed += not outcome.passed
    if failed:
        console.print(f"{failed} checks failed", highlight=False)
        raise typer.Exit(1)
    console.print("all checks passed", highlight=False)


@app.command("export-model")
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


@app.command()
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


@app.command()
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


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR|ENTRY.zip")],
    rounds: Annotated[
        int, typer.Option(min=0, help="replayed at random; 0: only check what is written")
    ] = 2,
    seed: Annotated[
        int | None, typer.Option(min=0, help="by which they are drawn", show_default="random")
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="execute a method that is not published here")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check a finished run and its references, or a submission, and make some rounds again.

    Exit code 1 if a check fails, or a replay or the scores of the weights are not possible.
    """
    import json

    from fednlp.verification.table import report_table, verdict
    from fednlp.verification.verify import verify as reports

    found = []
    for report in reports(path, rounds, seed, trust_code):
        found.append(report)
        if not as_json:
            console.print(report_table(report))
            console.print(verdict(report), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps([report.as_json() for report in found], indent=1))
    if not all(report.passed for report in found):
        raise typer.Exit(1)


def _run_all(configs: list[tuple[str, Any]], out: Path, allow_inexact: bool) -> list[Gap]:
    """Runs configurations, each with the place to blame; all are checked before the first runs.

    Returns their gap table, which it prints. One failed run does not stop the others.
    """
    from fednlp.engines.nursery import begin_early

    for _, config in configs:
        begin_early(config.engine)

    from fednlp.experiment import check_components, prepare_process
    from fednlp.runs import run_pair

    for where, config in configs:
        check_components(config, where)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}", f"cannot be made ({error.strerror})") from None
    folders, failures = set(), []
    for number, (where, config) in enumerate(configs, start=1):
        prepare_process(config)
        count = f"[{number}/{len(configs)}] " if len(configs) > 1 else ""
        says = f"{count}{where}: reading data, making tokens and model"
        console.print(says, markup=False, highlight=False, soft_wrap=True)
        try:
            federated, central = run_pair(config, out, console, allow_inexact)
        except (ValueError, OSError) as error:
            line = one_line(error)
            if len(configs) == 1 or line is None:
                raise
            failures.append(f"error: {where}: {line}")
            print(failures[-1], file=sys.stderr)
            continue
        folders |= {federated.folder} | ({central.folder} if central else set())
        if central is None:
            score = federated.selected.test[federated.primary_metric]
            text = f"{federated.folder}: {federated.primary_metric} {score:.3f} on test"
            console.print(text, highlight=False, soft_wrap=True)
    table = _print_result(out, folders, failures, len(failures), len(configs))
    if failures:
        raise typer.Exit(2)
    return table


def _print_result(
    out: Path, folders: set[str], failures: list[str], failed: int, runs: int
) -> list[Gap]:
    """The gap table of the runs that were made, and the lines of those that were not."""
    table = _print_gaps(out, "table", folders)
    console.print(f"run folders: {out.resolve()}", highlight=False, soft_wrap=True)
    if failures:
        print(f"{failed} of {runs} runs failed:", *failures, sep="\n", file=sys.stderr)
    return table


def _print_gaps(runs_dir: Path, form: str, only: set[str] | None = None) -> list[Gap]:
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


def _plot(table: list[Gap], runs_dir: Path) -> None:
    from fednlp.results.plots import plot_gaps

    for path in plot_gaps(table, runs_dir / "plots"):
        console.print(f"plot: {path}", markup=False, highlight=False, soft_wrap=True)


def _no_gap(runs_dir: Path) -> UserError:
    if (runs_dir / "result.json").exists():
        return UserError(str(runs_dir), "is a run folder", "the directory that holds it")
    found = "holds no finished federated run with its centralized reference"
    return UserError(str(runs_dir), found, fix="run one first")


def _with_skip_bad(overrides: list[str] | None, skip_bad: int) -> list[str]:
    """`--skip-bad N` is the override `dataset.skip_bad=N`."""
    return [*(overrides or []), *([f"dataset.skip_bad={skip_bad}"] if skip_bad else [])]


def _seeds(text: str | None) -> list[int]:
    if text is None:
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError("--seeds", f"found '{text}'", "whole numbers with commas: 0,1,2") from None


def _report(problems: list[str]) -> None:
    for problem in problems:
        print(f"skipped: {shown(problem, LONGEST_PROBLEM)}", file=sys.stderr)


@contextmanager
def _ends_as_interrupts(received: list[int]) -> Iterator[None]:
    """Other signals that end a process do it as an interrupt does; they are noted."""

    def interrupt(number: int, _: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Runs a command; errors of the user become one line and exit code 2.

    An interrupt becomes one line too, and so does what schedulers and terminals end a process with.
    """
    atexit.register(gc.freeze)  # the collection at the end would search all for a second or two
    received: list[int] = []
    try:
        with _ends_as_interrupts(received):
            code = app(standalone_mode=False, prog_name=PROGRAM)
    except (typer.Abort, KeyboardInterrupt):  # of an older typer, which gives no code
        code = _INTERRUPTED
    except Exception as error:
        usage = getattr(error, "format_message", None)  # of click, or of the copy inside typer
        line = one_line(error) if usage is None else _misused(error)
        if line is None:
            raise
        if line:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    if code == _INTERRUPTED:
        how = f"ended by {signal.Signals(received[-1]).name}" if received else "interrupted"
        again = "; the same command continues" if sys.argv[1:2] in (["run"], ["suite"]) else ""
        print(f"{how}{again}", file=sys.stderr)
        code = 128 + received[-1] if received else code
    sys.exit(code or 0)


def _misused(error: Any) -> str:
    """What is wrong with the command line; "" where the help was printed already."""
    found = error.format_message().strip().rstrip(".")
    command = error.ctx.command_path if error.ctx else PROGRAM
    return str(UserError(command, found, fix=f"see {command} --help")) if found else ""
