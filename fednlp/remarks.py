"""What a run's settings keep from being as fast as it could be: said once, before its rounds."""

from __future__ import annotations

from typing import Any

import torch

from algorithms.algorithm import Algorithm
from fednlp.experiment import Experiment


def remarks(experiment: Experiment) -> list[str]:
    """A line each."""
    found, together, trainer = list[str](), experiment.together, experiment.trainer()
    if together.problem:
        found.append(together.problem)
    if experiment.frozen_layers.problem:
        found.append(experiment.frozen_layers.problem)
    if together.trainer is None and trainer.steps == "plain" and not trainer.compile:
        method = type(experiment.algorithm)
        if method.correct is not Algorithm.correct and trainer.table is not None:
            why = f"{method.__name__} corrects the gradient of all weights"
            found.append(f"the word embedding is trained with all its rows: {why}")
    if trainer.compile:
        found.append("engine.compile: the first step of a shape waits for the compiler, minutes")
    if experiment.config.precision == "bf16" and experiment.device.type == "cpu":
        known: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older versions do not tell
        if known and not any(has for name, has in known.items() if "bf16" in name):
            found.append(
                "precision: bf16 gains nothing here, where no processor has such arithmetic"
            )
    return found
