"""The selected weights of a run as a `save_pretrained` folder for use elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from fednlp import config as configuration
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.flat_model import digest
from fednlp.results.files import read_json, read_tensors
from fednlp.results.load import load_run
from fednlp.results.run_folder import read_manifest


def export(run_dir: Path, target: Path) -> None:
    """Writes model and tokenizer of the selected round; LoRA adapters are merged.

    Raises:
        UserError: the run is unfinished or damaged, what it did not train is no longer what it
            was, or the target exists.
    """
    if not run_dir.is_dir():
        raise UserError(str(run_dir), "no such directory", "a run folder")
    if not (run_dir / "identity.json").is_file():
        raise UserError(str(run_dir), "is no run folder", "the folder of one run")
    if not (run_dir / "result.json").is_file():
        raise UserError(str(run_dir), "holds no finished run", fix="finish it first")
    if target.exists():
        raise UserError(str(target), "exists already", fix="name another directory")
    result, manifest = (
        load_run(run_dir).result,
        read_manifest(run_dir / "checkpoints" / "manifest.json"),
    )
    experiment = Experiment(configuration.load(run_dir / "config.yaml"))
    if manifest.best is None:
        raise UserError(str(run_dir), "has no selected checkpoint", fix="run it again")
    weights = read_tensors(run_dir / manifest.best, manifest.sha256[manifest.best])["weights"]
    if digest(weights) != result.selected.weights_sha256:
        raise UserError(str(run_dir), "the checkpoint is not the one of the result")
    _require_same_rest(run_dir, experiment)
    if weights.numel() != experiment.model.weights.numel():
        raise UserError(
            str(run_dir),
            f"holds {weights.numel()} weights, but its configuration now makes "
            f"{experiment.model.weights.numel()}",
            fix="use the versions in environment.json",
        )
    from tasks.lora import merge_lora

    experiment.model.load(weights)
    module = experiment.model.module
    if experiment.config.model.lora is not None:
        module = merge_lora(module)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        module.save_pretrained(temporary)  # type: ignore[operator]
        experiment.tokenizer[0].save_pretrained(temporary)
        temporary.rename(target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(str(target), f"cannot be written ({error.strerror})") from None


def _require_same_rest(run_dir: Path, experiment: Experiment) -> None:
    """What a checkpoint does not hold is made again: it must be what the run was trained with."""
    path = run_dir / "identity.json"
    known = read_json(path)["content"]
    made = {
        "tokenizer": experiment.tokenizer[1],
        "frozen_weights": experiment.model.frozen_digest(),
    }
    for key, value in made.items():
        if known.get(key) != value:
            raise UserError(
                f"{path}: {key}",
                f"its configuration now makes another one ({value[:12]}...)",
                f"{str(known.get(key))[:12]}...",
                "restore the model card, the model folder and the data that it was run with",
            )
