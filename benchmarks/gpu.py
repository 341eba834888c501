"""Local training on a GPU: one client by one, with and without graphs, against a large batch.

Models are DistilBERT's and MiniLM's in size, with random weights; tokens are random, every row as
long as its column says. A sample is one participation, from its start to its sums on the host.
The table says tokens per second and which share of this GPU's own bf16 matrix rate that is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from benchmarks.report import Report, arguments, table
from fednlp.compiled import CompiledModule
from fednlp.config_schema import ClientConfig
from fednlp.cuda_attention import always_mask
from fednlp.engines.client import Asked
from fednlp.flat_model import FlatModel
from fednlp.local_training import LocalTrainer
from fednlp.processes import repeatable_kernels
from fednlp.together.trainer import TogetherTrainer
from tasks.freezing import freeze_unreached
from tasks.lora import add_lora
from tasks.model_card import LoraSettings
from tasks.task import TokenSettings
from tasks.text_classification import TextClassification
from tasks.token_store import TokenStore

LABELS = [str(n) for n in range(20)]
CLIENTS = 10  # whose batches make one centralized step
STEPS = 16  # per participation
VOCABULARY = 30_522
GAINS = ("graphs / eager", "together / graphs", "one step / together")


@dataclass(frozen=True)
class Size:
    name: str
    layers: int
    hidden: int
    heads: int


SIZES = (Size("DistilBERT", 6, 768, 12), Size("MiniLM", 6, 384, 12))
SMOKE = (Size("smoke", 1, 16, 2),)


def module_of(size: Size, lora: bool) -> Any:
    kind: Any = {"DistilBERT": transformers.DistilBertConfig}.get(size.name)
    common = {"vocab_size": VOCABULARY, "max_position_embeddings": 512, "num_labels": len(LABELS)}
    if kind is not None:
        config = kind(
            dim=size.hidden, n_layers=size.layers, n_heads=size.heads,
            hidden_dim=4 * size.hidden, pad_token_id=0, **common,
        )  # fmt: skip
        head: Any = transformers.DistilBertForSequenceClassification
    else:
        config = transformers.BertConfig(
            hidden_size=size.hidden, num_hidden_layers=size.layers,
            num_attention_heads=size.heads, intermediate_size=4 * size.hidden, pad_token_id=0,
            **common,
        )  # fmt: skip
        head = transformers.BertForSequenceClassification
    torch.manual_seed(0)
    module = head(config)
    if lora:
        add_lora(module, LoraSettings())
    else:
        freeze_unreached(module, lambda m: m(input_ids=torch.arange(9).unsqueeze(0)).logits.sum())
    return module


def store_of(length: int, rows: int) -> TokenStore:
    """[rows] random texts of `length` tokens."""
    rng = np.random.default_rng(0)
    return TokenStore(
        tokens=torch.from_numpy(rng.integers(1000, VOCABULARY, rows * length).astype(np.int32)),
        row_offsets=torch.arange(rows + 1) * length,
        example_rows=torch.arange(rows + 1),
        row_weight=torch.ones(rows),
        columns={"label": torch.from_numpy(rng.integers(0, len(LABELS), rows))},
        max_length=length,
    )


def operations(module: nn.Module, size: Size, length: int, lora: bool) -> float:
    """Floating-point operations of the matrix products of one token's training."""
    linear = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))
    passes = 2 if lora else 3  # frozen weights need no gradient of their own
    return passes * 2.0 * linear + 3 * 4.0 * length * size.hidden * size.layers


def matrix_rate(device: torch.device, width: int) -> float:
    """Operations per second of a bf16 matrix product of `width` in every direction."""
    a, b = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(8):
        synchronize(device)
        began = time.perf_counter()
        for _ in range(4):
            a @ b
        synchronize(device)
        seconds.append((time.perf_counter() - began) / 4)
    return 2.0 * width**3 / float(np.median(seconds[3:]))


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


class Case:
    """One model: its weights, and the same forward compiled for all shapes."""

    def __init__(self, size: Size, lora: bool, device: torch.device, smoke: bool) -> None:
        self.size, self.lora, self.device = size, lora, device
        module = module_of(size, lora)
        if device.type == "cuda":
            always_mask(module)
        self.model = FlatModel(module, device)
        self.start = self.model.weights.clone()
        self.compiled = CompiledModule(module, "aot_eager" if smoke else "inductor")
        self.recorded: Any = "graphs" if device.type == "cuda" else "static"

    def arms(self, batch: int, length: int) -> dict[str, Callable[[], float]]:
        """What the columns of a row run; each gives tokens per second."""
        trainer = LocalTrainer(
            self.model,
            TextClassification(LABELS, TokenSettings(length)),
            store_of(length, CLIENTS * batch * STEPS).to(self.device),
            ClientConfig(batch_size=batch, lr=1e-4),
            0,
            "bf16",
        )
        recorded = replace(trainer, steps=self.recorded)
        compiled, both = replace(trainer, steps="static"), replace(trainer, steps=self.recorded)
        compiled.module = both.module = self.compiled
        large = ClientConfig(batch_size=CLIENTS * batch, lr=1e-4)
        central = replace(trainer, steps=self.recorded, settings=large)
        return {
            "eager": self._one(trainer, batch),
            "compiled": self._one(compiled, batch),
            "graphs": self._one(recorded, batch),
            "graphs of compiled": self._one(both, batch),
            "together": self._together(recorded, batch),
            f"one step of {CLIENTS} batches": self._one(central, CLIENTS * batch),
        }

    def _together(self, trainer: LocalTrainer, batch: int) -> Callable[[], float]:
        """CLIENTS participations at once."""
        together = TogetherTrainer(trainer, CLIENTS)
        shares = np.arange(CLIENTS * STEPS * batch).reshape(CLIENTS, -1)

        def run() -> float:
            synchronize(self.device)
            began = time.perf_counter()
            asked = [
                Asked(trainer.course(share, round=0, client=k), self.start, None)
                for k, share in enumerate(shares)
            ]
            learned = together.train(asked)
            synchronize(self.device)
            tokens = sum(one.work.padded_tokens for one in learned)
            return tokens / (time.perf_counter() - began)

        return run

    def _one(self, trainer: LocalTrainer, batch: int) -> Callable[[], float]:
        examples = np.arange(STEPS * batch)

        def run() -> float:
            synchronize(self.device)
            began = time.perf_counter()
            work = trainer.participate(examples, self.start, round=0, client=0).advance()
            return work.padded_tokens / (time.perf_counter() - began)

        return run


def measured(arms: dict[str, Callable[[], float]], repetitions: int) -> dict[str, float]:
    """The median of each arm, in turns; one participation before warms up and records."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for repetition in range(1 + repetitions):
        for name, run in arms.items():
            rate = run()
            if repetition:
                rates[name].append(rate)
    return {name: float(np.median(values)) for name, values in rates.items()}


def rows_of(case: Case, batches: list[int], lengths: list[int], peak: float, n: int) -> list[Any]:
    rows = []
    for batch in batches:
        for length in lengths:
            rates = measured(case.arms(batch, length), n)
            work = operations(case.model.module, case.size, length, case.lora)
            kind = "LoRA" if case.lora else "full"
            cells = [
                f"{rate / 1e3:,.0f} ({100 * rate * work / peak:.1f} %)" for rate in rates.values()
            ]
            central = rates[f"one step of {CLIENTS} batches"]
            pairs = (
                (rates["graphs"], rates["eager"]),
                (rates["together"], rates["graphs"]),
                (central, rates["together"]),
            )
            gains = [f"{over / under:.2f}" for over, under in pairs]
            rows.append([f"{case.size.name}, {kind}, {batch} x {length}", *cells, *gains])
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=3).parse_args()
    cuda, smoke = torch.cuda.is_available(), options.smoke
    if not cuda and not smoke:
        print("gpu: no CUDA device is usable here (--smoke runs on a CPU)", file=sys.stderr)
        raise SystemExit(2)
    repeatable_kernels()
    device = torch.device("cuda" if cuda else "cpu")
    batches, lengths = ([2], [8, 16]) if smoke else ([8, 32], [64, 128, 256])
    peak = matrix_rate(device, 256 if smoke else 8192)
    rows: list[list[str]] = []
    for size in SMOKE if smoke else SIZES:
        for lora in (False, True):
            case = Case(size, lora, device, smoke)
            n = 1 if smoke else options.repetitions
            rows += rows_of(case, batches, lengths, peak, n)
    names = list(case.arms(batches[0], lengths[0]))
    facts = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    report = Report("gpu", "Local training on a GPU", facts)
    report.parts += [
        "Targets: graphs at least 3 times as fast as eager at batch 8; together at least 2 times "
        f"as fast as graphs for {CLIENTS} clients; one centralized step on the same tokens at most "
        "1.3 times as fast as together with LoRA. Thousands of tokens per "
        "second, and in brackets the matrix products' share of the bf16 rate, which a product of "
        f"{256 if smoke else 8192} reached here: {peak / 1e12:.3g} TFLOP/s. AdamW, clipping, "
        f"dropout, bf16 by autocast; {STEPS} steps per participation; medians of "
        f"{options.repetitions}, in turns.",
        table(["model, batch x length", *names, *GAINS], rows),
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
