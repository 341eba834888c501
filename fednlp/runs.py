"""One run from configuration to result: find it, continue it, extend it, or make it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import yaml
from rich.console import Console
from torch import set_num_threads

from fednlp.centralized import run_centralized
from fednlp.conclusion import conclude
from fednlp.config_schema import RunConfig
from fednlp.environment import begin_environment, continue_environment, reset_peak_memory
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.federation import Federation
from fednlp.identity import Identity, centralized_identity, centralized_plan, federated_identity
from fednlp.nonfinite import refuse_skipped
from fednlp.partitions.build import FILE
from fednlp.partitions.folder import of_run
from fednlp.processes import all_threads, client_threads
from fednlp.profile import clock, profile_table
from fednlp.progress import Progress
from fednlp.results import files
from fednlp.results.manifest import read_manifest
from fednlp.results.own_names import MANIFEST
from fednlp.results.reading import load_run, read_identity
from fednlp.results.run_folder import RunFolder
from fednlp.results.schema import Reference, Result, Tuning
from fednlp.results.tuning import with_tuning
from fednlp.trackers.choice import require
from fednlp.trackers.feed import Feed
from fednlp.trackers.send import catch_up

Kind = Literal["federated", "centralized"]


@dataclass(frozen=True)
class Surroundings:
    """Where runs are kept and how they are shown; nothing of it changes a result."""

    out: Path
    console: Console
    allow_inexact: bool = False
    progress: Callable[[Console, str, int, int], Progress] = Progress


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
    experiment, around = Experiment(config), Surroundings(out, console, allow_inexact)
    central = None
    with closing(experiment.engine):  # its processes are compared before the first training
        if config.centralized.budget != "none":
            central = run_one(experiment, "centralized", around)
        return run_one(experiment, "federated", around), central


def run_one(
    experiment: Experiment, kind: Kind, around: Surroundings, tuning: Tuning | None = None
) -> Result:
    """One of the two runs of a configuration; the federated one without making its reference.

    tuning: the search that its settings come from.
    """
    if kind == "federated":
        return _complete(
            experiment,
            federated_identity(experiment),
            around,
            kind,
            lambda folder, progress, feed: Federation(experiment, folder, progress, feed).run(),
            reference=reference_of(experiment),
            tuning=tuning,
        )
    return _complete(
        experiment,
        centralized_identity(experiment),
        around,
        kind,
        lambda folder, progress, feed: run_centralized(experiment, folder, progress, feed=feed),
        budget=_budget(experiment),
        tuning=tuning,
    )


def reference_of(experiment: Experiment) -> Reference | None:
    """The centralized run that a configuration asks to be compared with."""
    if experiment.config.centralized.budget == "none":
        return None
    identity = centralized_identity(experiment)
    return Reference(id=identity.id, folder=identity.folder, budget=_budget(experiment))


def _budget(experiment: Experiment) -> Literal["matched", "converged"]:
    return cast(Literal["matched", "converged"], centralized_plan(experiment).budget)


def _complete(
    experiment: Experiment,
    identity: Identity,
    around: Surroundings,
    kind: Kind,
    work: Callable[[RunFolder, Progress, Feed], None],
    *,
    budget: Literal["matched", "converged"] | None = None,
    reference: Reference | None = None,
    tuning: Tuning | None = None,
) -> Result:
    path, out = folder_of(identity, around.out), around.out
    title, trackers = path.name.rsplit("-", 1)[0], experiment.config.trackers
    if files.stands(path / "result.json"):

        def say(text: str) -> None:
            around.console.print(f"{title}: {text}", highlight=False, soft_wrap=True)

        return finished(path, experiment.config, reference, tuning, say)
    must_stop = experiment.config.client.on_nonfinite == "stop"
    reset_peak_memory()
    engine = experiment.config.engine
    set_num_threads(client_threads(engine) if kind == "federated" else all_threads(engine))
    with RunFolder(path) as folder:
        if folder.manifest.state is None:
            donor = shorter_run(identity, out, path)
            _begin(experiment, identity, folder, kind)
            if donor is not None:
                with RunFolder(donor) as other:
                    continue_environment(other, folder, experiment, kind, around.allow_inexact)
                    folder.adopt(other)
        else:
            known = read_identity(path / "identity.json")
            if known != json.loads(json.dumps(identity.as_json())):
                found = "is of another run than the one that is wanted"
                raise UserError(str(path / "identity.json"), found, fix=files.START_AGAIN)
            continue_environment(folder, folder, experiment, kind, around.allow_inexact)
            _describe(experiment, folder, kind)
        if must_stop:
            refuse_skipped(folder.rounds(), path.name)
        completed = folder.manifest.completed
        with (
            around.progress(around.console, title, identity.rounds, completed) as progress,
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
                tuning=tuning,
            )
            feed.finish(result)
    if clock.running:
        around.console.print(profile_table(title, *clock.take()))
    return result


def folder_of(identity: Identity, out: Path) -> Path:
    """Where a run is, whatever it is labelled; where it would be made, if it is not there."""
    here = files.entries(out) if files.stands(out) else []
    same = (path for path in here if path.name.endswith(f"-{identity.id[:12]}"))
    return next(same, out / identity.folder)


def finished(
    path: Path,
    config: RunConfig,
    reference: Reference | None,
    tuning: Tuning | None,
    warn: Callable[[str], None],
) -> Result:
    """A finished run, which may now also be compared with another reference, be tuned or tracked.

    warn: is told what keeps it from a tracker.

    Raises:
        UserError: it is damaged, or left clients out where `config` wants it to stop.
    """
    run = load_run(path)
    result = run.result
    if config.client.on_nonfinite == "stop":
        refuse_skipped(run.rounds, path.name)
    if reference is not None and reference.id not in [known.id for known in result.references]:
        result = result.model_copy(update={"references": [*result.references, reference]})
    if tuning is not None and result.tuning != tuning:
        result = with_tuning(result, tuning)
    if result is not run.result:
        with RunFolder(path):
            files.write_bytes(path / "result.json", result.as_json())
    catch_up(replace(run, result=result), config.trackers, warn)
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


def shorter_run(identity: Identity, out: Path, own: Path) -> Path | None:
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
