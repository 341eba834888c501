"""Dataset and model cards by name or by path."""

from __future__ import annotations

from fednlp import places
from fednlp.yaml_files import load_mapping
from tasks.dataset_card import DatasetCard
from tasks.model_card import ModelCard


def dataset_card(name: str, key: str = "dataset.name") -> DatasetCard:
    """A card of `configs/datasets`, or the YAML file of a user; `key` is what names it."""
    path = places.card_file("datasets", name, key)
    return DatasetCard.parse(load_mapping(path)[0], str(path), path.parent)


def model_card(name: str, key: str = "model.name") -> ModelCard:
    """A card of `configs/models`, or the YAML file of a user; `key` is what names it."""
    path = places.card_file("models", name, key)
    return ModelCard.parse(load_mapping(path)[0], str(path))
