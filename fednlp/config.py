"""A run's configuration from files: typed, complete, and unforgiving about unknown keys.

A YAML file names only what differs from the defaults of `fednlp.config_schema`. `load` merges the
file, the files it `extends`, and `key.sub=value` overrides, and validates the whole, so that a
typing error is found before any data is read.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fednlp.config_errors import explained
from fednlp.config_schema import (
    PATHS,
    SHORT_FORMS,
    ClientConfig,
    PartitionConfig,
    RunConfig,
    central_client,
)
from fednlp.errors import UserError, nearest
from fednlp.yaml_files import Places, load_mapping, parse_value
from tasks.plain_files import kind_of

_OF_SUITES = ("base", "matrix", "tune")  # keys that no run has


class NotOneRun(UserError):
    """A file that should configure one run is a suite."""


def load(path: Path, overrides: list[str] | None = None) -> RunConfig:
    """Reads a run configuration.

    Raises:
        UserError: names the file and line, or the override, the key, and what to do.
    """
    data, places = read(path)
    for text in overrides or []:
        apply_override(data, text)
        places[tuple(text.partition("=")[0].split("."))] = f"override '{text:.80}'"
    return build(data, str(path), places)


def build(data: dict[str, Any], where: str, places: Places | None = None) -> RunConfig:
    """Validates a plain mapping; `where` and `places` say whom to blame."""
    try:
        config = RunConfig.model_validate(expanded(data))
        _check_combinations(config)
    except ValidationError as error:
        raise explained(error, where, places or {}) from None
    except UserError as error:
        raise UserError(f"{where}: {error.where}", error.found, error.expected, error.fix) from None
    return config


def override(data: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in place, expanding short forms on the way."""
    node, parts = data, key.split(".")
    for depth, part in enumerate(parts[:-1]):
        child = node.get(part)
        if depth == 0 and part in SHORT_FORMS and isinstance(child, str):
            child = {"name": child}
        node[part] = child if isinstance(child, dict) else {}
        node = node[part]
    last = {parts[-1]: value}
    old = {parts[-1]: node.get(parts[-1])}
    if len(parts) == 1:
        last, old = expanded(last), expanded(old)
    node.update(merged(old, last))


def apply_override(data: dict[str, Any], text: str) -> None:
    """Applies `key.sub=value` as it stands on the command line."""
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(
            f"override '{text:.80}'", "not of the form key.sub=value", fix="e.g. seed=1"
        )
    override(data, key, whole(key, parse_value(value, f"override '{text:.80}'"), Path()))


def read(path: Path, chain: tuple[Path, ...] = ()) -> tuple[dict[str, Any], Places]:
    """A configuration file as plain data, laid over what it `extends`, and its keys' places.

    Paths in it are made whole.
    """
    data, places = load_mapping(path)
    if path.resolve() in chain:
        raise UserError(str(path), "extends itself", fix="remove the circle of 'extends'")
    if any(key in data for key in _OF_SUITES):
        expected, fix = "a configuration of one run", "use the command suite"
        raise NotOneRun(str(path), "is a suite", expected, fix)
    data = beside(data, path.parent)
    parent = data.pop("extends", None)
    if parent is None:
        return data, places
    if not isinstance(parent, str):
        raise UserError(
            places.get(("extends",), str(path)), "'extends' is not a path", "a file name"
        )
    where = places.get(("extends",), str(path))
    if kind_of(path.parent / parent, where) != "file":
        raise UserError(where, f"extends {parent}, which is no file", "a file name")
    inherited, inherited_places = read(path.parent / parent, (*chain, path.resolve()))
    return merged(inherited, data), {**inherited_places, **places}


def merged(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """`extra` laid over `base`, mapping by mapping; a component of another name starts afresh."""
    result = deepcopy(base)
    for key, value in extra.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            renamed = "name" in value and value["name"] != old.get("name")
            result[key] = deepcopy(value) if renamed else merged(old, value)
        else:
            result[key] = deepcopy(value)
    return result


def expanded(data: dict[str, Any]) -> dict[str, Any]:
    """Short forms written out: `model: mini` is `model: {name: mini}`."""
    return {
        key: {"name": value} if key in SHORT_FORMS and isinstance(value, str) else value
        for key, value in data.items()
    }


def beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The content of a file in the folder: short forms written out, paths made whole."""
    data = {k: dict(v) if isinstance(v, dict) else v for k, v in expanded(data).items()}
    for (section, key), made_whole in PATHS.items():
        values = data.get(section)
        if isinstance(values, dict) and isinstance(values.get(key), str):
            values[key] = made_whole(values[key], str(folder))
    return data


def whole(key: str, value: Any, folder: Path) -> Any:
    """The value of a dotted key, its paths made whole."""
    section, dot, inner = key.partition(".")
    made = beside({section: {inner: value} if dot else value}, folder)[section]
    return made[inner] if dot else made


def _check_combinations(config: RunConfig) -> None:
    partition, client = config.partition, config.client
    if partition.name is None and partition.file is None:
        raise UserError("partition", "has neither a name nor a file", fix="e.g. name: uniform")
    if partition.file is not None:
        alone = PartitionConfig(file=partition.file).model_dump()
        extra = [key for key, value in partition.model_dump().items() if value != alone.get(key)]
        if extra:
            where = f"partition.{extra[0]}"
            raise UserError(where, "stands beside partition.file, which decides it", fix="drop it")
    if partition.name is not None and partition.clients is None and partition.name != "natural":
        raise UserError("partition.clients", "is missing", "the number of clients")
    own = [
        name
        for name in ClientConfig.model_fields
        if name not in ("epochs", "batch_size", "batch_tokens", "on_nonfinite")
    ]
    for key in config.centralized.client:
        if key in ("epochs", "batch_size", "batch_tokens"):
            raise UserError(
                f"centralized.client.{key}",
                "cannot differ: the budget counts examples and batches are the clients'",
                fix="drop it",
            )
        if key not in own:
            raise UserError(
                f"centralized.client.{key}",
                "unknown key",
                fix=nearest(key, own),
            )
    try:
        central = central_client(config)
    except ValidationError as error:
        raise explained(error, "centralized.client", {}) from None
    _check_client("client", client)
    _check_client("centralized.client", central)
    engine = config.engine
    if engine.name == "torchrun" and engine.workers not in ("auto", 1):
        found = f"found {engine.workers}, and torchrun's processes train the clients"
        raise UserError(
            "engine.workers", found, "1 or auto", "torchrun --nproc-per-node says how many"
        )
    if config.model.lora and (config.model.freeze_embeddings or config.model.freeze_layers):
        raise UserError("model.lora", "freezes all pretrained weights already", fix="drop freeze_*")


def _check_client(where: str, client: ClientConfig) -> None:
    if client.momentum and client.optimizer != "sgd":
        raise UserError(
            f"{where}.momentum",
            f"has no effect with optimizer '{client.optimizer}'",
            "0",
            "use client.optimizer: sgd or drop it",
        )
    if client.order == "by_class" and client.batch_tokens:
        found = "'by_class' goes with batch_size only"
        raise UserError(f"{where}.order", found, "shuffled", f"or drop {where}.batch_tokens")
    if client.warmup and client.schedule == "constant":
        raise UserError(
            f"{where}.warmup",
            "has no effect with schedule 'constant'",
            "0",
            "use client.schedule: linear or drop it",
        )
