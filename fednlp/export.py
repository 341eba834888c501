"""The selected weights of a run as a `save_pretrained` folder for use elsewhere."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import torch

from fednlp import config as configuration
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.flat_model import digest
from fednlp.results.files import START_AGAIN, not_written, read_tensors, stands
from fednlp.results.manifest import read_manifest
from fednlp.results.reading import load_run, read_identity
from tasks.plain_files import kind_of


def export(run_dir: Path, target: Path) -> None:
    """Writes model and tokenizer of the selected round; LoRA adapters are merged.

    Raises:
        UserError: the run is unfinished or damaged, what it did not train is no longer what it
            was, or the target exists.
    """
    if kind_of(run_dir) != "directory":
        raise UserError(str(run_dir), "no such directory", "a run folder")
    if not stands(run_dir / "identity.json"):
        raise UserError(str(run_dir), "is no run folder", "the folder of one run")
    if not stands(run_dir / "result.json"):
        raise UserError(str(run_dir), "holds no finished run", fix="finish it first")
    if stands(target):
        raise UserError(str(target), "exists already", fix="name another directory")
    result, manifest = (
        load_run(run_dir).result,
        read_manifest(run_dir / "checkpoints" / "manifest.json"),
    )
    experiment = Experiment(configuration.load(run_dir / "config.yaml"))
    if manifest.best is None:
        raise UserError(str(run_dir), "has no selected checkpoint", fix="run it again")
    stored = read_tensors(run_dir / manifest.best, manifest.sha256[manifest.best])
    weights = stored.get("weights", torch.empty(0))
    if digest(weights) != result.selected.weights_sha256:
        found = "the checkpoint is not the one of the result"
        raise UserError(str(run_dir / manifest.best), found, fix=START_AGAIN)
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
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        module.save_pretrained(temporary)  # type: ignore[operator]
        experiment.tokenizer[0].save_pretrained(temporary)
        temporary.rename(target)
    except OSError as error:
        raise not_written(target, error) from None
    except Exception as error:  # safetensors and tokenizers wrap what the system says in their own
        found = f"cannot be written ({' '.join(str(error).split())})"
        raise UserError(
            str(target), found, fix="free space and run the same command again"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _require_same_rest(run_dir: Path, experiment: Experiment) -> None:
    """What a checkpoint does not hold is made again: it must be what the run was trained with."""
    path = run_dir / "identity.json"
    known = read_identity(path)["content"]
    made = {
        "data": experiment.corpus.fingerprint,  # the names of the labels
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
