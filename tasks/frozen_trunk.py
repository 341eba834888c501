"""What the frozen first layers of an encoder make of a text, computed once.

Where neither the embeddings nor the first layers are trained, and they have no dropout, their
output for a text is the same at every step, client and evaluation. It is kept with the tokens, and
the model begins at the first layer that is trained. The same up to rounding, which depends on the
batch that a text was read in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.batches import PlannedBatch, evaluation_plan
from tasks.fingerprint import code_hash
from tasks.freezing import LAYERS
from tasks.ragged import ranges
from tasks.task import TRUNK, Task, evaluating, model_inputs
from tasks.token_store import TokenStore

ARCHITECTURES = ("bert", "roberta", "distilbert")  # encoders whose layers share nothing
_TOKENS_PER_BATCH = 4_096  # padded


class FrozenTrunk:
    """The embeddings and first layers of a model, as long as these are frozen.

    Attributes:
        layers: how many of the model's first layers.
        width: values per token.
    """

    def __init__(self, model: Any, layers: int) -> None:
        self._model, self.layers = model, layers
        self.width: int = model.config.hidden_size

    @classmethod
    def of(cls, model: Any) -> FrozenTrunk | None:
        """The longest trunk of a `transformers` model; None where there is no whole layer."""
        kind = getattr(getattr(model, "config", None), "model_type", None)
        if (
            kind not in ARCHITECTURES
            or getattr(model.config, "is_decoder", False)
            or not _fixed(_embeddings(model))
        ):
            return None
        layers = 0
        for layer in _layers(model):
            # One with a forward of its own (tasks/first_token.py) gives other tokens than it takes.
            if not _fixed(layer) or "forward" in vars(layer):
                break
            layers += 1
        return cls(model, layers) if layers else None

    def parameters(self) -> Iterator[nn.Parameter]:
        for part in (_embeddings(self._model), *_layers(self._model)[: self.layers]):
            yield from part.parameters()

    def identity(self) -> dict[str, Any]:
        """What its output depends on, beside the tokens: JSON values."""
        digest = hashlib.sha256()
        for parameter in self.parameters():
            digest.update(f"{list(parameter.shape)}".encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().data)
        config = self._model.config.to_dict()
        for unread in ("id2label", "label2id", "_name_or_path", "problem_type"):
            config.pop(unread, None)
        return {
            "weights": digest.hexdigest(),
            "layers": self.layers,
            "config": config,
            "torch": torch.__version__,
            "code": code_hash("frozen_trunk.py", "batches.py"),
        }

    def read(
        self,
        task: Task,
        store: TokenStore,
        done: Callable[[int], None] = lambda examples: None,
        threads: int = 1,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> TokenStore:
        """The store with the trunk's output as a further column: [T, width] float32.

        Args:
            store: on the model's device.
            done: told the number of examples of every batch that is done.
            threads: batches that are read at once, each with torch's own number of threads.
            context: what every batch is read in (autocast).
        """
        output = torch.empty((len(store.tokens), self.width), device=store.device)
        plan = evaluation_plan(store, np.arange(store.examples), _TOKENS_PER_BATCH)
        whole = _layers(self._model)
        _set_layers(self._model, whole[: self.layers])

        def read(planned: PlannedBatch) -> int:
            with torch.inference_mode(), context():  # both are a thread's own
                for part in planned.passes(_TOKENS_PER_BATCH):
                    batch = task.collate(store, part)
                    states = self._model.base_model(**model_inputs(self._model, batch))[0]
                    real = batch.inputs["attention_mask"] != 0
                    output[_places(store, part.rows)] = states[real].float()
            return planned.examples

        try:
            with evaluating(self._model), ThreadPoolExecutor(threads) as pool:
                for examples in pool.map(read, plan):
                    done(examples)
        finally:
            _set_layers(self._model, whole)
        return replace(store, columns={**store.columns, TRUNK: output}, folder=None)

    def install(self) -> None:
        """From now on the model takes the trunk's output, as `inputs_embeds` [B, L, width]."""
        _embeddings(self._model).forward = _given
        for layer in _layers(self._model)[: self.layers]:
            layer.forward = _passed_on


def _given(input_ids: Any = None, inputs_embeds: Any = None, *_: Any, **others: Any) -> Tensor:
    if inputs_embeds is None:
        raise ValueError("this model takes what its frozen layers make of a text, not its tokens")
    return inputs_embeds


def _passed_on(hidden_states: Tensor, *_: Any, **others: Any) -> Tensor:
    return hidden_states


def _places(store: TokenStore, rows: np.ndarray) -> Tensor:
    """Where the tokens of rows [B] lie in the store, row by row: [n] int64."""
    begins = np.concatenate([[0], np.cumsum(store.row_lengths)])[rows]
    return torch.from_numpy(ranges(begins, store.row_lengths[rows])).to(store.device)


def _fixed(part: nn.Module) -> bool:
    """Whether a part gives the same for the same input, whatever training does."""
    trained = any(p.requires_grad for p in part.parameters())
    return not trained and not any(isinstance(m, nn.Dropout) and m.p for m in part.modules())


def _embeddings(model: Any) -> Any:
    return model.base_model.embeddings


def _layers(model: Any) -> nn.ModuleList:
    return model.base_model.get_submodule(_path(model))


def _set_layers(model: Any, layers: nn.Module) -> None:
    model.base_model.set_submodule(_path(model), layers)


def _path(model: Any) -> str:
    (path,) = LAYERS[model.config.model_type]
    return path
