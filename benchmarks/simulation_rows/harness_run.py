"""The harness's side of the same padded batches: its whole rounds, with log and checkpoint.

python -m benchmarks.simulation_rows.harness_run JOB RESULTS; the job's folder says in
`workload.json` which workload it was made from.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import torch

from benchmarks.peers.job import Result, Work, arguments, clock, finish
from benchmarks.workload import Workload, run_rounds, workload
from fednlp.results.run_folder import RunFolder


def experiment_of(folder: Path) -> Workload:
    """The workload of a job, planned for one round more, in which `run_rounds` stops."""
    made = json.loads((folder / "workload.json").read_text(encoding="utf-8"))
    return workload(**made)


def main() -> None:
    job, out = arguments()
    experiment = experiment_of(job.folder)
    result = Result()
    weights: dict[str, torch.Tensor] = {}

    def before(round: int) -> None:
        if round <= job.rounds:
            result.began.append(clock())

    def after(run: RunFolder) -> None:
        assert run.manifest.state is not None
        experiment.model.load(run.committed(run.manifest.state)["weights"])
        weights.update(experiment.model.module.state_dict())

    records = run_rounds(experiment, before, after)
    for record in records:
        counts = {field.name: record.get(field.name, 0) for field in fields(Work)}
        counts["loss_sum"] = record["train_loss"] * record["examples"]
        result.work.add(Work(**counts))
    finish(out, job, result, weights)


if __name__ == "__main__":
    main()
