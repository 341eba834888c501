"""A job in pfl-research: `SimulatedBackend` with `FederatedAveraging`, in one process or several.

python -m benchmarks.peers.pfl_run JOB RESULTS, in the environment `pfl`; for two processes
torchrun --standalone --nproc_per_node=2 -m benchmarks.peers.pfl_run JOB RESULTS.

As "Fast distributed simulations" of its documentation says: torchrun with one process per core,
users scheduled by their size, large batches and shards in central evaluation, data in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.callback.central_evaluation import CentralEvaluationCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchDataDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics, StringMetricName, Weighted, get_overall_value
from pfl.model.pytorch import PyTorchModel

from benchmarks.peers.job import Batch, Job, Result, Work, arguments, clock, finish


class Classifier(torch.nn.Module):
    """What pfl asks of a model: `loss` of a batch, and `metrics` of one."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module, self.work = module, Work()

    def loss(self, **batch: torch.Tensor) -> torch.Tensor:
        self.train()
        loss = self.module(**batch).loss
        self.work.count(batch)
        self.work.loss_sum += float(loss.detach()) * len(batch["labels"])
        return loss

    @torch.no_grad()
    def metrics(self, labels: torch.Tensor, **inputs: torch.Tensor) -> dict[str, Weighted]:
        self.eval()
        right = self.module(**inputs).logits.argmax(-1) == labels
        return {"accuracy": Weighted(int(right.sum()), len(labels))}


class PaddedBatches(Dataset):
    """A user whose batches were made beforehand."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__(raw_data=(torch.cat([batch["labels"] for batch in batches]),))
        self._padded = batches

    def iter(self, batch_size: int | None) -> Iterator[Batch]:
        yield from self._padded


class Rounds(TrainingProcessCallback):
    """Notes when rounds begin; scores validation every so often, and test after the last."""

    def __init__(self, job: Job, result: Result) -> None:
        self.job, self.result = job, result
        self.evaluations: dict[str, CentralEvaluationCallback] = {}
        if not job.padded:
            self.evaluations = {
                split: CentralEvaluationCallback(
                    texts(job, split, range(len(job.texts[split]["label"]))),
                    model_eval_params=NNEvalHyperParams(job.evaluation_batch_size),
                    format_fn=StringMetricName,
                )
                for split in ("validation", "test")
            }

    def on_train_begin(self, *, model: Any) -> Metrics:
        self.result.began.append(clock())
        return Metrics()

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: Any, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        round = central_iteration + 1
        if self.job.evaluates(round):
            self.result.validation.append(self._accuracy("validation", model, round))
            if round == self.job.rounds:
                self.result.test = self._accuracy("test", model, round)
        self.result.began.append(clock())
        return False, Metrics()

    def _accuracy(self, split: str, model: Any, round: int) -> float:
        _, metrics = self.evaluations[split].after_central_iteration(
            Metrics(), model, central_iteration=round
        )
        return float(get_overall_value(metrics[StringMetricName("accuracy")]))


def texts(job: Job, split: str, examples: Any, **options: Any) -> PyTorchDataDataset:
    """Tokenized once, padded to the longest of a batch."""
    collate = job.collate
    return PyTorchDataDataset(
        job.encoded(split, examples),  # type: ignore[arg-type]
        collate_fn=lambda rows: dict(collate(rows)),
        **options,
    )


def federated_dataset(job: Job) -> FederatedDataset:
    if job.cohorts is not None:
        order = iter([(r, c) for r, cohort in enumerate(job.cohorts) for c in cohort])
        return FederatedDataset(lambda user: PaddedBatches(job.batches(*user)), lambda: next(order))
    users: dict[int, PyTorchDataDataset] = {}

    def user(client: int) -> PyTorchDataDataset:
        if client not in users:
            users[client] = texts(job, "train", job.texts["clients"][client], shuffle=True)
        return users[client]

    everyone = list(range(job.clients))
    sizes = {client: job.sizes[client] for client in everyone}
    return FederatedDataset(user, get_user_sampler("minimize_reuse", everyone), sizes)


def add_up(work: Work) -> Work:
    """Over all processes."""
    if not torch.distributed.is_initialized():
        return work
    values = torch.tensor([float(v) for v in vars(work).values()], dtype=torch.float64)
    torch.distributed.all_reduce(values)
    numbers = values.tolist()
    return Work(*[int(n) for n in numbers[:-1]], numbers[-1])


def main() -> None:
    job, out = arguments()
    torch.set_num_threads(1)
    np.random.seed(0)
    torch.manual_seed(0)
    classifier, result = Classifier(job.model()), Result()
    model = PyTorchModel(
        model=classifier,
        local_optimizer_create=job.create_optimizer,
        central_optimizer=torch.optim.SGD(classifier.parameters(), lr=1.0),
    )
    data = federated_dataset(job)
    if not job.padded:  # until it has evaluated once, a process evaluates all by itself
        model.evaluate(texts(job, "validation", range(8)), StringMetricName)
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=job.rounds,
            evaluation_frequency=job.rounds,  # of users: in the first round only
            train_cohort_size=job.per_round,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(data, data, postprocessors=[WeightByDatapoints()]),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1,
            local_learning_rate=job.lr,
            local_batch_size=job.batch_size,
        ),
        model_eval_params=NNEvalHyperParams(job.evaluation_batch_size),
        callbacks=[Rounds(job, result)],
        send_metrics_to_platform=False,
    )
    result.work = add_up(classifier.work)
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        finish(out, job, result, classifier.module.state_dict(), "pfl")


if __name__ == "__main__":
    main()
