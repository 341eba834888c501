"""What a model is: where its weights and its tokenizer come from, and which tasks it serves.

A card is a small YAML file with exactly one source: `hub` (weights at a pinned revision), `local`
(a folder in the layout of `save_pretrained`) or `scratch` (an architecture with fresh weights).

>>> card = ModelCard.model_validate({
...     "name": "tiny", "description": "two layers", "licence": "none", "tasks": ["seq2seq"],
...     "scratch": {"architecture": "bert", "layers": 2, "hidden": 64, "heads": 2,
...                 "intermediate": 128, "max_positions": 64},
...     "tokenizer": {"vocab_size": 500}})
>>> card.kind
'scratch'
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.errors import DataError
from tasks.plain_files import kind_of

TaskName = Literal["text_classification", "sequence_tagging", "question_answering", "seq2seq"]
EncoderName = Literal["bert", "distilbert", "roberta", "albert"]
DecoderName = Literal["bart", "t5"]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class HubSource(_Section):
    """Weights on the hub. `revision` is a commit, never a branch, so that a run can be repeated."""

    id: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")


class LocalSource(_Section):
    """A folder with `config.json`, `*.safetensors` and a tokenizer; no network is used."""

    path: str  # absolute, or relative to the data root

    def folder(self, data_root: Path | None = None) -> Path:
        """Resolves the path against `data_root`, by default the directory in FEDNLP_DATA."""
        try:
            path = Path(self.path).expanduser()
        except RuntimeError as error:  # ~nobody
            raise DataError(f"local.path: {self.path}", str(error), "a path") from None
        root = data_root or os.environ.get("FEDNLP_DATA")
        if not path.is_absolute():
            if root is None:
                raise DataError(
                    f"local.path: {self.path}",
                    "a relative path and no data directory",
                    "the directory that holds it",
                    "set FEDNLP_DATA, or give an absolute path",
                )
            path = Path(root) / path
        if kind_of(path, "local.path") != "directory":
            raise DataError(
                "local.path",
                f"no folder at {path}",
                "a folder written by save_pretrained",
                "check FEDNLP_DATA and the path",
            )
        return path


class ScratchSource(_Section):
    """An architecture with fresh weights; the vocabulary has the size of its trained tokenizer.

    For seq2seq an encoder architecture becomes a BART of the same width, with `layers` encoder and
    `decoder_layers` decoder layers, so that one card serves all four tasks.
    """

    architecture: EncoderName | DecoderName
    layers: int = Field(ge=1)
    decoder_layers: int | None = Field(default=None, ge=1)  # default: half of `layers`, at least 1
    hidden: int = Field(ge=8)
    heads: int = Field(ge=1)
    intermediate: int = Field(ge=8)
    max_positions: int = Field(ge=8)  # the longest input, in tokens
    dropout: float = Field(default=0.1, ge=0, lt=1)
    initializer_std: float | None = Field(default=None, gt=0)  # default: see scratch.py

    @model_validator(mode="after")
    def _heads_divide(self) -> ScratchSource:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) is not a multiple of heads ({self.heads})")
        return self


class TokenizerSettings(_Section):
    """How text becomes tokens.

    `vocab_size` set: a byte-pair encoding is trained on the training texts. Unset: the tokenizer
    that lies beside the pretrained weights.
    """

    vocab_size: int | None = Field(default=None, ge=300)
    lowercase: bool = True
    min_frequency: int = Field(default=2, ge=1)


class ModelCard(_Section):
    """One model; `kind` names the source that is set."""

    name: str
    description: str
    licence: str
    tasks: list[TaskName]
    hub: HubSource | None = None
    local: LocalSource | None = None
    scratch: ScratchSource | None = None
    layers: int | None = Field(default=None, ge=1)  # keep only the first n pretrained layers
    tokenizer: TokenizerSettings = TokenizerSettings()

    @model_validator(mode="after")
    def _one_source(self) -> ModelCard:
        given = [kind for kind in ("hub", "local", "scratch") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"sources given: {given}; expected exactly one of hub, local, scratch")
        if self.scratch is not None and self.tokenizer.vocab_size is None:
            raise ValueError("tokenizer.vocab_size is missing; a model from scratch trains its own")
        if self.scratch is None and self.tokenizer.vocab_size is not None:
            raise ValueError("tokenizer.vocab_size is set, but pretrained weights fix it")
        if self.scratch is not None and self.layers is not None:
            raise ValueError("layers is for pretrained weights; use scratch.layers")
        return self

    @classmethod
    def parse(cls, data: Any, where: str) -> ModelCard:
        """Checks the content of a card.

        Args:
            data: what the YAML file holds.
            where: the card's file name, for messages.

        Raises:
            DataError: names the file and the first key that is wrong.
        """
        if not isinstance(data, dict):
            raise DataError(where, f"a {type(data).__name__}", "a mapping of keys")
        if "task" in data and "tasks" not in data:
            raise DataError(where, "the card of a data set", "the card of a model")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _one_line(where, error) from None

    def check_scratch(self, layers: int | None, max_length: int) -> None:
        """Checks what a run asks of a model from scratch; other cards do not know their sizes.

        Raises:
            DataError: a number of layers, or sequences longer than the model's positions.
        """
        if self.scratch is None:
            return
        if layers is not None:
            raise DataError(
                "model.layers",
                f"{layers} for {self.name}, which starts from scratch",
                "no model.layers",
                "set scratch.layers in a card of your own",
            )
        longest = self.scratch.max_positions
        if self.scratch.architecture != "t5" and max_length > longest:  # T5's are relative
            raise DataError(
                f"model {self.name}: max_length",
                str(max_length),
                f"at most {longest}, the model's positions",
                "lower max_length or choose another model",
            )

    @property
    def kind(self) -> Literal["hub", "local", "scratch"]:
        if self.hub is not None:
            return "hub"
        return "local" if self.local is not None else "scratch"


class LoraSettings(_Section):
    """Low-rank adapters (Hu et al. 2022, arXiv 2106.09685): W + (alpha / r) B A, only A, B trained.

    `targets` are names of linear modules; by default the query and value projections.
    """

    r: int = Field(default=8, ge=1)
    alpha: float = Field(default=16.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | None = None


class ModelOverrides(_Section):
    """What a run may change about a card's model."""

    layers: int | None = Field(default=None, ge=1)  # first n layers (of encoder and of decoder)
    dropout: float | None = Field(default=None, ge=0, lt=1)  # every dropout probability
    freeze_embeddings: bool = False
    freeze_layers: int = Field(default=0, ge=0)  # first n layers (of encoder and of decoder)
    lora: LoraSettings | None = None

    @model_validator(mode="after")
    def _lora_freezes_already(self) -> ModelOverrides:
        if self.lora is not None and (self.freeze_embeddings or self.freeze_layers):
            raise ValueError("lora already freezes all pretrained weights; remove freeze_*")
        return self


def _one_line(path: str, error: ValidationError) -> DataError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return DataError(f"{path} {key}".strip(), first["msg"].removeprefix("Value error, "))
    sections: dict[str, type[BaseModel]] = {
        "hub": HubSource,
        "local": LocalSource,
        "scratch": ScratchSource,
        "tokenizer": TokenizerSettings,
    }
    section = sections.get(str(first["loc"][0]), ModelCard)
    nearest = difflib.get_close_matches(str(first["loc"][-1]), section.model_fields, 1)
    return DataError(
        f"{path} {key}",
        "unknown key",
        "one of " + ", ".join(section.model_fields),
        f"did you mean {nearest[0]}?" if nearest else "remove it",
    )
