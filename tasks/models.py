"""From a model card to a `PreTrainedModel` with the right head for a task.

Weights are float32, read from safetensors only; no remote code runs. What starts fresh (the head,
a whole model from scratch, adapters) is drawn from `seed` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError
from tasks.first_token import read_first_token_only
from tasks.freezing import freeze, freeze_unreached
from tasks.library_errors import told
from tasks.lora import add_lora
from tasks.model_card import ModelCard, ModelOverrides
from tasks.model_folder import check_folder
from tasks.network import surely_offline
from tasks.scratch import scratch_config

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from tasks.task import Task

_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout_prob",
    "classifier_dropout",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
    "qa_dropout",
    "dropout_rate",
)
FRESH = 10**8  # weights that a task may add to those in the files
_ENCODERS_THAT_DECODE = ("bert", "roberta")  # architectures with a cross-attention


def build_model(
    card: ModelCard,
    task: Task,
    *,
    labels: list[str],
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    overrides: ModelOverrides | None = None,
    max_length: int = 0,
    data_root: Path | None = None,
) -> PreTrainedModel:
    """Builds the card's model for `task`, in evaluation mode, frozen and adapted as asked.

    An encoder serves seq2seq as encoder and decoder of one model (Rothe et al. 2020, arXiv
    1907.12461) whose cross-attention starts fresh. Weights that the task never reaches (an unused
    pooler) are frozen.

    Args:
        labels: class names or tags; empty for question answering and seq2seq.
        seed: of fresh weights; torch's global generators stay as they were.
        max_length: the longest sequence in tokens that the model will see, 0 for no check.
        data_root: where relative local paths start; default FEDNLP_DATA.

    Raises:
        DataError: the card does not serve the task, files are missing or damaged, a size is
            beyond the model.
    """
    import torch

    overrides = overrides or ModelOverrides()
    _check_task(card, task, labels)
    source = None if card.scratch is not None else _Source(card, data_root)
    with _quiet(), torch.random.fork_rng(devices=[]):
        # The CPU generator alone: `torch.manual_seed` would also reseed every GPU.
        torch.default_generator.manual_seed(seed)
        if source is None:
            model = _from_scratch(card, task, labels, tokenizer, overrides, max_length)
        else:
            model = _pretrained(source, task, labels, tokenizer, overrides, max_length)
        if task.name == "text_classification":
            read_first_token_only(model)
        freeze(model, embeddings=overrides.freeze_embeddings, layers=overrides.freeze_layers)
        if overrides.lora is not None:
            add_lora(model, overrides.lora)
    model.eval()
    with source.told("a model that reads a sentence") if source else nullcontext():
        freeze_unreached(model, lambda m: _probe(m, tokenizer))
    return model


def load_encoder(card: ModelCard, data_root: Path | None = None) -> PreTrainedModel:
    """The pretrained encoder of a card without any head, in evaluation mode.

    Raises:
        DataError: the card is a model from scratch, or its files cannot be read.
    """
    from transformers import AutoModel

    if card.scratch is not None:
        raise DataError(
            f"model {card.name}", "starts from scratch", "a pretrained encoder", "use another card"
        )
    source = _Source(card, data_root)
    config = source.config()
    _cut(config, source.layers, source.name)
    with _quiet():
        return source.load(AutoModel, config).eval()


def maximum_length(config: PreTrainedConfig) -> int | None:
    """The longest input in tokens; None where positions are relative (T5)."""
    if config.model_type == "encoder-decoder":
        return maximum_length(config.encoder)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type == "roberta":
        return positions - config.pad_token_id - 1  # its positions are counted from pad + 1
    return positions


def _check_task(card: ModelCard, task: Task, labels: list[str]) -> None:
    if task.name not in card.tasks:
        raise DataError(
            f"model {card.name}",
            f"task {task.name}",
            f"one of {', '.join(card.tasks)}",
            "choose another model for this task",
        )
    if task.name in ("text_classification", "sequence_tagging") and len(labels) < 2:
        raise DataError(f"task {task.name}", f"{len(labels)} labels", "at least 2")


def _check_sizes(
    where: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, max_length: int
) -> None:
    longest = maximum_length(config)
    if longest is not None and max_length > longest:
        raise DataError(
            f"{where}: max_length",
            str(max_length),
            f"at most {longest}, the model's positions",
            "lower max_length or choose another model",
        )
    vocabulary = getattr(config, "encoder", config).vocab_size
    tokens = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=-1))
    if tokens > vocabulary:
        raise DataError(
            f"{where}: tokenizer",
            f"{tokens} tokens",
            f"at most {vocabulary}, the model's embeddings",
            "use the tokenizer the model was trained with",
        )


def _from_scratch(
    card: ModelCard,
    task: Task,
    labels: list[str],
    tokenizer: PreTrainedTokenizerFast,
    overrides: ModelOverrides,
    max_length: int,
) -> PreTrainedModel:
    import torch

    assert card.scratch is not None
    card.check_scratch(overrides.layers, max_length)
    config = scratch_config(card.scratch, task.name, vocab_size=len(tokenizer))
    _adapt(config, f"model {card.name}", labels, tokenizer, overrides)
    _check_sizes(f"model {card.name}", config, tokenizer, max_length)
    auto = _auto_class(card.name, task.auto_class, config)
    return _finish(auto.from_config(config, dtype=torch.float32), tokenizer)


class _Source:
    """Where pretrained files come from, and how a failure to read them is told."""

    def __init__(self, card: ModelCard, data_root: Path | None) -> None:
        self.name = card.name
        self.layers = card.layers
        self.options: dict[str, Any] = {"trust_remote_code": False}
        self.shapes: dict[str, tuple[int, ...]] | None = None  # of the weights in a local folder
        if card.local is not None:
            folder = card.local.folder(data_root)
            self.where = f"model {card.name}: {folder}"
            self.path, self.fix = str(folder), "copy the model again"
            self.options["local_files_only"] = True
            self.shapes = check_folder(folder, self.where, self.fix)
        else:
            assert card.hub is not None
            self.where = f"model {card.name}: hub {card.hub.id}@{card.hub.revision[:8]}"
            self.path, self.fix = card.hub.id, "connect to the network once, or use a local folder"
            self.options["revision"] = card.hub.revision
            self.options["local_files_only"] = surely_offline()  # earlier downloads still serve

    def config(self) -> PreTrainedConfig:
        from transformers import AutoConfig

        with self.told("a readable config.json"):
            return AutoConfig.from_pretrained(self.path, **self.options)

    def load(self, auto: Any, config: PreTrainedConfig) -> PreTrainedModel:
        """Reads weights; what lies in the backbone (without its pooler) must be in the file."""
        import torch

        self._check_shapes(auto, config)
        with self.told("float32-convertible weights of this architecture in safetensors"):
            model, report = auto.from_pretrained(
                self.path,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **self.options,
            )
        prefix = model.base_model_prefix + "." if model.base_model is not model else ""
        fresh = ("pooler", "crossattention", "qa_outputs", "classifier", "lm_head")
        for name, parameter in model.named_parameters():
            if not math.isfinite(parameter.detach().sum()) and not torch.isfinite(parameter).all():
                found = f"{name} holds NaN or infinities"
                raise DataError(self.where, found, "finite weights", self.fix)
        missing = [
            name
            for name in sorted(report["missing_keys"])
            if name.startswith(prefix) and not any(part in name for part in fresh)
        ]
        if missing:
            found = f"{len(missing)} weights missing, the first is {missing[0]}"
            raise DataError(self.where, found, "all weights of the encoder", self.fix)
        return model

    def _check_shapes(self, auto: Any, config: PreTrainedConfig) -> None:
        """Compares what config.json describes with the files before it takes any memory."""
        import torch

        if self.shapes is None:
            return
        with (
            self.told("a config.json that describes a model"),
            torch.random.fork_rng(devices=[]),
            torch.device("meta"),
        ):
            model = auto.from_config(config)
            described = {name: tuple(p.shape) for name, p in model.named_parameters()}
            prefix = f"{model.base_model_prefix}."
        for name, shape in described.items():
            stored = self.shapes.get(name, self.shapes.get(name.removeprefix(prefix), shape))
            if stored != shape:
                found = f"{name} has the shape {list(stored)}"
                expected = f"{list(shape)}, as config.json says"
                raise DataError(self.where, found, expected, self.fix)
        total = sum(map(math.prod, described.values()))
        held = sum(map(math.prod, self.shapes.values()))
        if total > 3 * held + FRESH:
            found = f"config.json describes {total:,} weights, the files hold {held:,}"
            raise DataError(self.where, found, "files of this configuration", self.fix)

    def told(self, expected: str) -> AbstractContextManager[None]:
        """Any failure of a library on these files as one line."""
        return told(self.where, expected, self.fix)


def _pretrained(
    source: _Source,
    task: Task,
    labels: list[str],
    tokenizer: PreTrainedTokenizerFast,
    overrides: ModelOverrides,
    max_length: int,
) -> PreTrainedModel:
    config = source.config()
    _check_sizes(source.where, config, tokenizer, max_length)
    _cut(config, overrides.layers or source.layers, source.name)
    _adapt(config, source.where, labels, tokenizer, overrides)
    if task.name == "seq2seq" and not config.is_encoder_decoder:
        return _finish(_encoder_decoder(source, config), tokenizer)
    auto = _auto_class(source.name, task.auto_class, config)
    return _finish(source.load(auto, config), tokenizer)


def _encoder_decoder(source: _Source, config: PreTrainedConfig) -> PreTrainedModel:
    from transformers import AutoModel, AutoModelForCausalLM, EncoderDecoderModel

    if config.model_type not in _ENCODERS_THAT_DECODE:
        raise DataError(
            f"model {source.name}",
            f"seq2seq with a {config.model_type} encoder, which cannot be a decoder",
            f"one of {', '.join(_ENCODERS_THAT_DECODE)}, bart, t5",
            "choose another model for this task",
        )
    decoder_config = type(config).from_dict(config.to_dict())
    decoder_config.is_decoder = decoder_config.add_cross_attention = True
    encoder = source.load(AutoModel, config)
    decoder = source.load(AutoModelForCausalLM, decoder_config)
    return EncoderDecoderModel(encoder=encoder, decoder=decoder)


def _auto_class(name: str, auto_class: str, config: PreTrainedConfig) -> Any:
    import transformers

    auto = getattr(transformers, auto_class)
    if type(config) not in auto._model_mapping:
        raise DataError(
            f"model {name}",
            f"architecture {config.model_type} has no {auto_class}",
            "an architecture with a head for this task",
            "choose another model for this task",
        )
    return auto


def _cut(config: PreTrainedConfig, layers: int | None, name: str) -> None:
    if layers is None:
        return
    # `num_hidden_layers` is an alias of each architecture's own name for its (encoder) layers.
    decoder = "decoder_layers" if hasattr(config, "decoder_layers") else "num_decoder_layers"
    for key in ("num_hidden_layers", decoder):
        available = getattr(config, key, None)
        if available is None:
            continue
        if layers > available:
            raise DataError(f"model {name}: layers", str(layers), f"at most {available}")
        setattr(config, key, layers)


def _adapt(
    config: PreTrainedConfig,
    where: str,
    labels: list[str],
    tokenizer: PreTrainedTokenizerFast,
    overrides: ModelOverrides,
) -> None:
    if labels:
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    else:
        config.num_labels = 2  # start and end of a span
    stored = getattr(config, "pad_token_id", None)
    if stored is not None and stored != tokenizer.pad_token_id:
        expected = f"{stored}, the model's pad_token_id"
        raise DataError(f"{where}: tokenizer", f"pad token {tokenizer.pad_token_id}", expected)
    config.pad_token_id = tokenizer.pad_token_id
    config.dtype = "float32"
    if overrides.dropout is not None:
        for key in _DROPOUTS:
            if getattr(config, key, None) is not None:
                setattr(config, key, overrides.dropout)
        if getattr(config, "activation_dropout", 0):  # 0 means that the architecture has none
            config.activation_dropout = overrides.dropout


def _finish(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Gives a seq2seq model the tokenizer's special ids and plain greedy generation."""
    if not model.can_generate():
        return model
    from transformers import GenerationConfig

    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    last = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    start = model.config.decoder_start_token_id
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": first,
        "eos_token_id": last,
        "decoder_start_token_id": first if start is None else start,
    }
    for key, value in ids.items():
        setattr(model.config, key, value)
    model.generation_config = GenerationConfig(**ids, do_sample=False, num_beams=1)
    return model


def _probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Tensor:
    batch = tokenizer("a probe", return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    if model.can_generate():
        inputs["decoder_input_ids"] = batch["input_ids"]
    output = model(**inputs)
    if "logits" in output:
        return output.logits.sum()
    return output.start_logits.sum() + output.end_logits.sum()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences loading reports: which weights start fresh is known, and checked, here."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
