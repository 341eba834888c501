"""Which weights are trained: embeddings, first layers, and weights that no loss reaches.

A frozen weight has `requires_grad=False`; it is then no part of the model's vector, so it is
neither copied, nor averaged, nor counted as sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

# Where a backbone keeps its layers and its embeddings, by `config.model_type`. The tied output
# projection of a seq2seq model is its shared embedding, and is frozen with it.
LAYERS = {
    "bert": ["encoder.layer"],
    "roberta": ["encoder.layer"],
    "distilbert": ["transformer.layer"],
    "bart": ["encoder.layers", "decoder.layers"],
    "t5": ["encoder.block", "decoder.block"],
}
_BART_EMBEDDINGS = ["embed_positions", "layernorm_embedding"]
_EMBEDDINGS = {
    "bert": ["embeddings"],
    "roberta": ["embeddings"],
    "distilbert": ["embeddings"],
    "albert": ["embeddings"],
    "bart": ["shared", *(f"{s}.{e}" for s in ("encoder", "decoder") for e in _BART_EMBEDDINGS)],
    "t5": ["shared"],
}
_HEADS = ("classifier", "pre_classifier", "classification_head", "qa_outputs", "score")
_FRESH_IN_DECODER = ("decoder.cls.", "decoder.lm_head.")


def freeze(model: PreTrainedModel, *, embeddings: bool = False, layers: int = 0) -> None:
    """Freezes the embeddings and / or the first `layers` layers of the encoder and of the decoder.

    The cross-attention of a decoder made from an encoder starts fresh, so it is always trained.

    Raises:
        DataError: the architecture is unknown, shares its layers, has fewer, or nothing is left.
    """
    if not embeddings and not layers:
        return
    longest = 0
    for backbone in _backbones(model):
        kind = backbone.config.model_type
        if embeddings:
            for module in _existing(backbone, _known(_EMBEDDINGS, kind)):
                module.requires_grad_(False)
        if not layers:
            continue
        if kind == "albert":
            raise DataError(
                "freeze_layers",
                f"{layers} with an ALBERT model",
                "0, because ALBERT's layers share their weights",
                "use freeze_embeddings or lora",
            )
        for stack in _existing(backbone, _known(LAYERS, kind)):
            longest = max(longest, len(stack))
            for layer in list(stack)[:layers]:
                for name, parameter in layer.named_parameters():
                    if not name.startswith("crossattention."):
                        parameter.requires_grad_(False)
    if layers > longest:
        raise DataError("freeze_layers", str(layers), f"at most {longest}, the model's layers")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise DataError(
            "freeze_embeddings, freeze_layers",
            "nothing left to train",
            "at least one trained weight",
            "freeze fewer layers",
        )


def head_parameters(model: PreTrainedModel) -> Iterator[nn.Parameter]:
    """The weights that no pretraining has seen: the task's head, fresh cross-attention."""
    fresh = _FRESH_IN_DECODER if model.config.model_type == "encoder-decoder" else ()
    for name, parameter in model.named_parameters():
        head = name.split(".")[0] in _HEADS
        if head or ".crossattention." in name or name.startswith(fresh):
            yield parameter


def freeze_unreached(
    model: PreTrainedModel, loss: Callable[[PreTrainedModel], Tensor]
) -> list[str]:
    """Freezes the trained parameters that `loss(model)` never reaches; returns their names.

    One backward pass in evaluation mode; gradients, mode and random state are as before.
    """
    import torch

    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    gradients = [p.grad for _, p in trained]
    modes = [(module, module.training) for module in model.modules()]
    try:
        for _, parameter in trained:
            parameter.grad = None
        model.eval()
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            loss(model).backward()
        unreached = [(n, p) for n, p in trained if p.grad is None]
    finally:
        for (_, parameter), gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        for module, mode in modes:
            module.training = mode
    for _, parameter in unreached:
        parameter.requires_grad_(False)
    return [name for name, _ in unreached]


def _backbones(model: PreTrainedModel) -> list[Any]:
    if model.config.model_type == "encoder-decoder":
        return [model.encoder.base_model, model.decoder.base_model]
    return [model.base_model]


def _known(table: dict[str, list[str]], kind: str) -> list[str]:
    if kind not in table:
        known = ", ".join(sorted(table))
        raise DataError("freeze", f"a model of type {kind}", f"one of {known}", "use lora")
    return table[kind]


def _existing(backbone: Any, paths: list[str]) -> Iterator[Any]:
    for path in paths:  # an encoder-only T5 has no decoder
        module = backbone
        for part in path.split("."):
            module = getattr(module, part, None)
        if module is not None:
            yield module
