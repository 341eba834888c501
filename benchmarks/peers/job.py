"""A job that every framework is given, as a folder of plain files, and what is the same in all.

Runs in the environments of the peers: torch, transformers and numpy, nothing of ours. The folder
holds `job.json`, the initial model and, as `job.json` says, padded batches (`batches.npz`) or raw
texts (`texts.json`) with a tokenizer. A script leaves `result.json` and `weights.safetensors`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Batch = dict[str, Tensor]  # input_ids, attention_mask [B, L] and labels [B]


@dataclass
class Work:
    """What was trained; values that add up. Tokens without and with padding."""

    examples: int = 0
    steps: int = 0
    real_tokens: int = 0
    padded_tokens: int = 0
    loss_sum: float = 0.0  # over examples

    def add(self, other: Work) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def count(self, batch: Batch) -> None:
        mask = batch["attention_mask"]
        self.examples += len(mask)
        self.steps += 1
        self.real_tokens += int(mask.sum())
        self.padded_tokens += mask.numel()


@dataclass
class Result:
    """began: when each round began (seconds on one clock), and when the last one ended."""

    work: Work = field(default_factory=Work)
    began: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)  # accuracy
    test: float | None = None  # accuracy after the last round


class Job:
    """Reads the folder; whatever takes time is done when it is first asked for, and kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self.rounds: int = settings["rounds"]
        self.clients: int = settings["clients"]
        self.per_round: int = settings["per_round"]
        self.cohorts: list[list[int]] | None = settings["cohorts"]  # None: the framework draws
        self.sizes: list[int] = settings["sizes"]  # [clients] training examples
        self.optimizer: str = settings["optimizer"]
        self.lr: float = settings["lr"]
        self.batch_size: int = settings["batch_size"]
        self.evaluation_batch_size: int = settings["evaluation_batch_size"]
        self.evaluation_every: int = settings["evaluation_every"]
        self.max_length: int = settings["max_length"]
        self.cores: int = settings["cores"]
        self._encoded: dict[str, list[dict[str, Any]]] = {}
        self._loaders: dict[Any, Any] = {}

    def model(self) -> Any:
        """A fresh copy of the initial model, as `transformers` makes it."""
        from transformers import BertForSequenceClassification

        return BertForSequenceClassification.from_pretrained(self.folder / "model")

    def create_optimizer(self, parameters: Any, lr: float | None = None) -> torch.optim.Optimizer:
        """torch's own; fused, which is its fastest on a CPU."""
        lr = self.lr if lr is None else lr
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, lr=lr, fused=True)
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=0.0, fused=True)

    # batches that were padded beforehand ----------------------------------------------------

    @property
    def padded(self) -> bool:
        return self.cohorts is not None

    def batches(self, round: int, client: int) -> list[Batch]:
        """The batches of a client in a round (from 0), in order."""
        return self._all_batches[round, client]

    @property
    def _all_batches(self) -> dict[tuple[int, int], list[Batch]]:
        return _read_batches(self.folder / "batches.npz")

    # raw texts ------------------------------------------------------------------------------

    @property
    def texts(self) -> dict[str, Any]:
        """train, validation, test: {text: [n], label: [n]}; clients: examples of each."""
        return _read_texts(self.folder / "texts.json")

    @property
    def collate(self) -> Any:
        from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(_tokenizer(self.folder / "tokenizer"))

    def encoded(self, split: str, examples: Iterable[int]) -> list[dict[str, Any]]:
        """Tokenized examples, cut at the maximum, not padded."""
        chosen, texts = list(examples), self.texts[split]
        tokenizer = _tokenizer(self.folder / "tokenizer")
        found = tokenizer(
            [texts["text"][i] for i in chosen], truncation=True, max_length=self.max_length
        )
        return [
            {
                "input_ids": found["input_ids"][place],
                "attention_mask": found["attention_mask"][place],
                "label": texts["label"][i],
            }
            for place, i in enumerate(chosen)
        ]

    def client_examples(self, client: int) -> list[dict[str, Any]]:
        return self.encoded("train", self.texts["clients"][client])

    def loader(self, client: int) -> Any:
        """A `DataLoader` over a client, shuffled, padded to the longest of each batch."""
        if client not in self._loaders:
            self._loaders[client] = torch.utils.data.DataLoader(
                self.client_examples(client),  # type: ignore[arg-type]
                batch_size=self.batch_size,
                shuffle=True,
                collate_fn=self.collate,
            )
        return self._loaders[client]

    def evaluation_loader(self, split: str) -> Any:
        if split not in self._loaders:
            self._loaders[split] = torch.utils.data.DataLoader(
                self.encoded(split, range(len(self.texts[split]["label"]))),  # type: ignore[arg-type]
                batch_size=self.evaluation_batch_size,
                collate_fn=self.collate,
            )
        return self._loaders[split]

    # what a framework is given --------------------------------------------------------------

    def training_data(self, round: int, client: int) -> Iterable[Batch]:
        return self.batches(round, client) if self.padded else self.loader(client)

    def evaluates(self, round: int) -> bool:
        """Whether validation is scored after a round (from 1)."""
        due = round % self.evaluation_every == 0 or round == self.rounds
        return not self.padded and round > 0 and due


def train(model: Any, data: Iterable[Batch], job: Job) -> Work:
    """One local epoch with a fresh optimizer, as the examples of all frameworks write it."""
    model.train()
    optimizer = job.create_optimizer(model.parameters())
    work = Work()
    for batch in data:
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        work.count(batch)
        work.loss_sum += float(loss.detach()) * len(batch["labels"])
    return work


@torch.no_grad()
def accuracy(model: Any, data: Iterable[Batch]) -> float:
    model.eval()
    right = total = 0
    for batch in data:
        labels = batch.pop("labels")
        right += int((model(**batch).logits.argmax(-1) == labels).sum())
        total += len(labels)
    return right / total


def evaluate(model: Any, job: Job, round: int, result: Result) -> None:
    """After a round (from 1): validation every so often, test after the last."""
    if job.evaluates(round):
        result.validation.append(accuracy(model, job.evaluation_loader("validation")))
    if round == job.rounds and not job.padded:
        result.test = accuracy(model, job.evaluation_loader("test"))


def clock() -> float:
    """Seconds; the same clock in all processes of a machine."""
    return time.monotonic()


def arguments() -> tuple[Job, Path]:
    """The job's folder and that of the results, from the command line."""
    return the_job(sys.argv[1]), Path(sys.argv[2])


@lru_cache(maxsize=1)
def the_job(folder: str) -> Job:
    """One job per process, so that what it has read and tokenized is there for all clients."""
    return Job(Path(folder))


def finish(out: Path, job: Job, result: Result, state: dict[str, Tensor], *packages: str) -> None:
    """Writes the result, and the weights where they are compared."""
    from safetensors.torch import save_file

    content = asdict(result)
    content["versions"] = {
        name: version(name) for name in (*packages, "torch", "transformers", "numpy")
    }
    if job.padded:
        kept = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
        save_file(kept, out / "weights.safetensors")
    (out / "result.json").write_text(json.dumps(content), encoding="utf-8")


@lru_cache(maxsize=1)
def _read_batches(path: Path) -> dict[tuple[int, int], list[Batch]]:
    """`where` [n, 4]: round, client, rows, length of each batch; ids and lengths lie flat."""
    stored = np.load(path, allow_pickle=False)
    ids, lengths, labels = stored["ids"], stored["lengths"], stored["labels"]
    result: dict[tuple[int, int], list[Batch]] = {}
    token = row = 0
    for round, client, rows, length in stored["where"].tolist():
        end = token + rows * length
        grid = torch.from_numpy(ids[token:end].reshape(rows, length)).long()
        real = torch.from_numpy(lengths[row : row + rows]).long()
        batch = {
            "input_ids": grid,
            "attention_mask": (torch.arange(length) < real.unsqueeze(1)).long(),
            "labels": torch.from_numpy(labels[row : row + rows]).long(),
        }
        result.setdefault((round, client), []).append(batch)
        token, row = end, row + rows
    return result


@lru_cache(maxsize=1)
def _read_texts(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
