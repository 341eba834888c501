"""Commands that make runs, and those that tell beforehand what they would be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fednlp.commands.options import AllowInexact, ConfigFile, Out, Overrides, SkipBad, with_skip_bad
from fednlp.commands.results import print_gaps, print_plots
from fednlp.console import console
from fednlp.errors import ProcessLost, UserError, one_line

if TYPE_CHECKING:
    from fednlp.config_schema import RunConfig
    from fednlp.results.gap import Gap


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
    from fednlp.engines.torchrun.membership import membership
    from fednlp.places import config_file
    from fednlp.profile import clock

    if profile:
        clock.start()

    def read() -> list[RunConfig]:
        path, chosen, texts = config_file(config), _seeds(seeds), with_skip_bad(overrides, skip_bad)
        lines = [[*texts, f"seed={seed}"] for seed in chosen] or [texts]
        return [configuration.load(path, line) for line in lines]

    def work() -> None:
        where = str(config_file(config))
        entries = [(where, entry) for entry in read()]
        federated = entries[0][1].engine.name == "fedml"
        (_run_federation if federated else _run_all)(entries, out, allow_inexact)

    me = membership()
    if me is None or (me.size == 1 and all(c.engine.name == "local" for c in read())):
        work()
        return
    from fednlp.engines.torchrun.command import run_as_member

    run_as_member(me, read, work)


def client(
    config: ConfigFile,
    overrides: Overrides = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="1, 2, ... engine.silos")] = 1,
    out: Out = Path("runs"),
) -> None:
    """Be a silo of a federation over gRPC: hold some of the clients and train them.

    The server is `run` with the same configuration; silos may be started before it or after.
    """
    from fednlp import config as configuration
    from fednlp.engines.fedml.roles import serve_silo
    from fednlp.places import config_file

    path = config_file(config)
    resolved = configuration.load(path, [*(overrides or []), "engine.name=fedml"])
    if resolved.engine.backend != "GRPC":
        fix = "engine.backend=GRPC; with MPI, mpirun starts all by the run command"
        raise UserError("engine.backend", f"is {resolved.engine.backend}", "GRPC", fix)
    serve_silo(resolved, str(path), out, rank)


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
    from fednlp.engines.torchrun.membership import membership
    from fednlp.places import config_file
    from fednlp.suite import read_suite

    me = membership()
    if me is not None and me.size > 1:
        found = f"{me.size} processes were started of a suite"
        raise UserError("suite", found, "one", "--jobs, or torchrun with 'run' for a single one")
    described = read_suite(config_file(suite), with_skip_bad(overrides, skip_bad))
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
        print_plots(gaps, out)
    if finished.failed:
        raise typer.Exit(1 if finished.faults else 2)
    below = sorted({g.benchmark for g in gaps if g.centralized <= g.floor})
    if beat_floor and below:
        print("centralized does not beat the floor:", *below, sep="\n", file=sys.stderr)
        raise typer.Exit(1)


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


def show(config: ConfigFile, overrides: Overrides = None, skip_bad: SkipBad = 0) -> None:
    """Show the resolved configuration, what was read and what it would cost; runs nothing."""
    import yaml

    from fednlp import config as configuration
    from fednlp.experiment import Experiment, check_components, prepare_process
    from fednlp.places import config_file
    from fednlp.plan import plan
    from fednlp.results.tables import data_table, plan_table

    path = config_file(config)
    resolved = configuration.load(path, with_skip_bad(overrides, skip_bad))
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


def _run_federation(configs: list[tuple[str, Any]], out: Path, allow_inexact: bool) -> None:
    """The server, or one of the silos that mpirun starts with the same command."""
    from fednlp.engines.fedml.roles import federation, is_silo, serve_silo

    where, config = configs[0]
    if is_silo(config.engine):
        serve_silo(config, where, out)
        return
    with federation(config.engine):
        _run_all(configs, out, allow_inexact)


def _run_all(configs: list[tuple[str, Any]], out: Path, allow_inexact: bool) -> None:
    """Runs configurations, each with the place to blame, and prints their gaps.

    All are checked before the first runs. One failed run does not stop the others.
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
            if len(configs) == 1 or line is None or isinstance(error, ProcessLost):
                raise
            failures.append(f"error: {where}: {line}")
            print(failures[-1], file=sys.stderr)
            continue
        folders |= {federated.folder} | ({central.folder} if central else set())
        if central is None:
            score = federated.selected.test[federated.primary_metric]
            text = f"{federated.folder}: {federated.primary_metric} {score:.3f} on test"
            console.print(text, highlight=False, soft_wrap=True)
    _print_result(out, folders, failures, len(failures), len(configs))
    if failures:
        raise typer.Exit(2)


def _print_result(
    out: Path, folders: set[str], failures: list[str], failed: int, runs: int
) -> list[Gap]:
    """The gap table of the runs that were made, and the lines of those that were not."""
    table = print_gaps(out, "table", folders)
    console.print(f"run folders: {out.resolve()}", highlight=False, soft_wrap=True)
    if failures:
        print(f"{failed} of {runs} runs failed:", *failures, sep="\n", file=sys.stderr)
    return table


def _seeds(text: str | None) -> list[int]:
    if text is None:
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError("--seeds", f"found '{text}'", "whole numbers with commas: 0,1,2") from None
