"""Writes the folder that every framework is given (`benchmarks/peers/job.py` reads it)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import cohort, plain_module
from fednlp.experiment import Experiment
from fednlp.random_streams import generator
from tasks.batches import epoch_plan
from tasks.task import column

EVALUATION_BATCH = 64


def write_padded_job(experiment: Experiment, folder: Path, rounds: int) -> None:
    """The very batches that the harness will make in `rounds` rounds, its cohorts and weights."""
    config, store = experiment.config, experiment.stores["train"]
    where, ids, lengths, labels, cohorts = [], [], [], [], []
    for round in range(rounds):
        clients = experiment.sampler.clients[experiment.sampler.cohort(round)].tolist()
        cohorts.append(clients)
        for client, examples in zip(clients, cohort(experiment, round), strict=True):
            rng = generator(config.seed, "data order", round, client, 0)
            for planned in epoch_plan(store, examples, config.client.batch_size, rng):
                batch = experiment.task.collate(store, planned)
                where.append((round, client, len(planned.rows), planned.length))
                ids.append(batch.inputs["input_ids"].numpy().astype(np.int32).reshape(-1))
                lengths.append(batch.inputs["attention_mask"].sum(1).numpy().astype(np.int32))
                labels.append(batch.targets["label"].numpy())
    _write_settings(experiment, folder, rounds=rounds, cohorts=cohorts)
    np.savez(
        folder / "batches.npz",
        where=np.array(where, np.int64),
        ids=np.concatenate(ids),
        lengths=np.concatenate(lengths),
        labels=np.concatenate(labels),
    )


def write_text_job(experiment: Experiment, folder: Path) -> None:
    """Raw texts, who holds which, and the harness's tokenizer and initial weights."""
    train = experiment.partition.splits["train"]
    texts: dict[str, Any] = {
        split: {"text": column(examples, "text"), "label": column(examples, "label")}
        for split, examples in experiment.corpus.splits.items()
    }
    texts["clients"] = [train.client(c).tolist() for c in range(experiment.partition.clients)]
    _write_settings(experiment, folder, rounds=experiment.config.rounds, cohorts=None)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    experiment.tokenizer[0].save_pretrained(folder / "tokenizer")


def _write_settings(experiment: Experiment, folder: Path, **others: Any) -> None:
    config = experiment.config
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "clients": experiment.partition.clients,
        "per_round": config.sampling.clients_per_round,
        "sizes": experiment.partition.splits["train"].sizes().tolist(),
        "optimizer": config.client.optimizer,
        "lr": config.client.lr,
        "batch_size": config.client.batch_size,
        "evaluation_batch_size": EVALUATION_BATCH,
        "evaluation_every": config.evaluation.every,
        "max_length": config.tokens.max_length,
        "cores": os.cpu_count(),
        **others,
    }
    (folder / "job.json").write_text(json.dumps(settings), encoding="utf-8")
    plain_module(experiment).save_pretrained(folder / "model")
