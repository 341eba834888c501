"""One run from configuration to result: find it, continue it, extend it, or make it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import yaml
from rich.console import Console
from torch import set_num_threads

from fednlp.centralized import run_centralized
from fednlp.conclusion import conclude
from fednlp.config import RunConfig
from fednlp.environment import begin_environment, continue_environment, reset_peak_memory
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.federation import Federation
from fednlp.identity import Identity, centralized_identity, centralized_plan, federated_identity
from fednlp.nonfinite import refuse_skipped
from fednlp.partitions.build import FILE
from fednlp.partitions.folder import of_run
from fednlp.processes import all_threads, client_threads
from fednlp.profile import PREPARATION, clock, profile_table
from fednlp.progress import Progress
from fednlp.results import files
from fednlp.results.own_names import MANIFEST
from fednlp.results.reading import load_run, read_identity
from fednlp.results.run_folder import RunFolder, read_manifest
from fednlp.results.schema import Reference, Result
from fednlp.trackers.choice import require
from fednlp.trackers.feed import Feed
from fednlp.trackers.send import catch_up


def run_pair(
    config: RunConfig, out: Path, console: Console, allow_inexact: bool = False
) -> tuple[Result, Result | None]:
    """The federated result of one seed and its centralized reference's, made if missing.

    A finished run is only read; a killed one continues; a shorter one of the same trajectory is
    extended. The reference is found by its id and never run twice.

    Raises:
        UserError: also where a tracker is asked for whose library is not installed.
    """
    require(config.trackers)
    experiment = Experiment(config)
    reference, central = None, None
    if config.centralized.budget != "none":
        identity = centralized_identity(experiment)
        budget = cast(Literal["matched", "converged"], centralized_plan(experiment).budget)
        central = _complete(
            experiment,
            identity,
            out,
            console,
            allow_inexact,
            "centralized",
            lambda folder, progress, feed: run_centralized(experiment, folder, progress, feed=feed),
            budget=budget,
        )
        reference = Reference(id=identity.id, folder=identity.folder, budget=budget)
    federated = _complete(
        experiment,
        federated_identity(experiment),
        out,
        console,
        allow_inexact,
        "federated",
        lambda folder, progress, feed: Federation(experiment, folder, progress, feed).run(),
        reference=reference,
    )
    return federated, central


def _complete(
    experiment: Experiment,
    identity: Identity,
    out: Path,
    console: Console,
    allow_inexact: bool,
    kind: Literal["federated", "centralized"],
    work: Callable[[RunFolder, Progress, Feed], None],
    *,
    budget: Literal["matched", "converged"] | None = None,
    reference: Reference | None = None,
) -> Result:
    here = files.entries(out) if files.stands(out) else []
    same = (path for path in here if path.name.endswith(f"-{identity.id[:12]}"))
    path = next(same, out / identity.folder)
    title, trackers = path.name.rsplit("-", 1)[0], experiment.config.trackers
    must_stop = experiment.config.client.on_nonfinite == "stop"
    if files.stands(path / "result.json"):
        run = load_run(path)
        if must_stop:
            refuse_skipped(run.rounds, path.name)
        result = _with_reference(path, run.result, reference)
        catch_up(run, trackers, lambda text: _say(console, f"{title}: {text}"))
        return result
    reset_peak_memory()
    clock.lap(PREPARATION)
    engine = experiment.config.engine
    set_num_threads(client_threads(engine) if kind == "federated" else all_threads(engine))
    with RunFolder(path) as folder:
        if folder.manifest.state is None:
            donor = _shorter_run(identity, out, path)
            _begin(experiment, identity, folder, kind)
            if donor is not None:
                with RunFolder(donor) as other:
                    continue_environment(other, folder, experiment, kind, allow_inexact)
                    folder.adopt(other)
        else:
            known = read_identity(path / "identity.json")
            if known != json.loads(json.dumps(identity.as_json())):
                found = "is of another run than the one that is wanted"
                raise UserError(str(path / "identity.json"), found, fix=files.START_AGAIN)
            continue_environment(folder, folder, experiment, kind, allow_inexact)
            _describe(experiment, folder, kind)
        if must_stop:
            refuse_skipped(folder.rounds(), path.name)
        completed = folder.manifest.completed
        with (
            Progress(console, title, identity.rounds, completed) as progress,
            Feed(trackers, path, progress.message) as feed,
        ):
            feed.begin(folder.rounds())
            work(folder, progress, feed)
            progress.note("testing")
            result = conclude(
                experiment,
                folder,
                identity,
                kind,
                budget=budget,
                references=[reference] if reference else [],
            )
            feed.finish(result)
    if clock.running:
        console.print(profile_table(title, *clock.take()))
    return result


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _with_reference(path: Path, result: Result, reference: Reference | None) -> Result:
    """A finished federated run that is now also compared with another reference."""
    if reference is None or reference.id in [known.id for known in result.references]:
        return result
    result = result.model_copy(update={"references": [*result.references, reference]})
    with RunFolder(path):
        files.write_bytes(path / "result.json", result.as_json())
    return result


def _begin(experiment: Experiment, identity: Identity, folder: RunFolder, kind: str) -> None:
    folder.write_json("identity.json", identity.as_json())
    begin_environment(folder, experiment, kind)
    _describe(experiment, folder, kind)


def _describe(experiment: Experiment, folder: RunFolder, kind: str) -> None:
    """What the run was last asked with; settings outside its id may have changed since."""
    config = yaml.safe_dump(experiment.config.resolved(), sort_keys=False)
    files.write_bytes(folder.path / "config.yaml", config.encode())
    if kind == "federated":
        of_run(experiment).save(folder.path / FILE)


def _shorter_run(identity: Identity, out: Path, own: Path) -> Path | None:
    """The folder with the most committed rounds among runs of one trajectory, none longer."""
    best, most = None, 0
    for path in files.entries(out):
        known, manifest = path / "identity.json", path / MANIFEST
        # what cannot be looked at is none that could be extended
        if path == own or not (os.path.isfile(known) and os.path.isfile(manifest)):
            continue
        try:
            other = read_identity(known)
            if other["trajectory"] != identity.trajectory or other["rounds"] > identity.rounds:
                continue
            completed = read_manifest(manifest).completed
            if completed % identity.every and completed == other["rounds"] != identity.rounds:
                continue  # it validated its last round, where the longer run would not
        except (UserError, KeyError, TypeError):
            continue
        if completed > most:
            best, most = path, completed
    return best
