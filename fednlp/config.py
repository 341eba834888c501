"""The configuration of a run: typed, complete, and unforgiving about unknown keys.

A YAML file names only what differs from the defaults below. `load` merges the file, the
files it `extends`, and `key.sub=value` overrides, and validates the whole. Parameters of an
algorithm, a partitioner and a server optimizer are checked against the fields of their classes in
`fednlp.components`, so that a typing error is found before any data is read.
"""

from __future__ import annotations

import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fednlp.errors import UserError, nearest
from fednlp.places import is_card_path
from fednlp.yaml_files import Places, load_mapping, parse_value
from tasks.plain_files import kind_of

Positive = Annotated[int, Field(gt=0, le=10**9)]
Count = Annotated[int, Field(ge=0, le=2**62)]
Fraction = Annotated[float, Field(ge=0, le=1)]


# A run folder keeps its configuration, and is read from any directory: paths are made absolute.
# They start at the file that names them (`beside`), or, on the command line, at the working
# directory.


def _whole_card(name: str, folder: str = "") -> str:
    return _whole_path(name, folder) if is_card_path(name) else name


def _whole_method(name: str, folder: str = "") -> str:
    file, colon, attribute = name.rpartition(":")
    return f"{_whole_path(file, folder)}:{attribute}" if colon and file else name


def _whole_path(name: str, folder: str = "") -> str:
    return os.path.abspath(os.path.join(folder, name))


CardName = Annotated[str, AfterValidator(_whole_card)]  # in configs/, or a path
MethodName = Annotated[str, AfterValidator(_whole_method)]  # published, or path/to/file.py:Class
FilePath = Annotated[str, AfterValidator(_whole_path)]
_PATHS = {
    ("dataset", "name"): _whole_card,
    ("model", "name"): _whole_card,
    ("partition", "file"): _whole_path,
    ("partition", "encoder"): _whole_card,
    ("algorithm", "name"): _whole_method,
}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class DatasetConfig(Section):
    """name: a card in configs/datasets or a path to one. source: where the data come from.

    skip_bad: at most so many bad records are left out; 0: the first one stops the run.
    """

    name: CardName
    source: Literal["auto", "local", "hub", "synthetic"] = "auto"
    sizes: dict[str, Positive] | None = None  # synthetic data only: examples per split
    limit: dict[Literal["train", "validation", "test"], Positive] | None = None  # seeded subsample
    skip_bad: Count = 0


class LoraConfig(Section):
    r: Positive = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Fraction = 0.0
    targets: list[str] | None = None


class ModelConfig(Section):
    """name: a card in configs/models or a path to one. layers: only the first n."""

    name: CardName
    layers: Positive | None = None
    dropout: Fraction | None = None
    freeze_embeddings: bool = False
    freeze_layers: Count = 0
    lora: LoraConfig | None = None


class TokensConfig(Section):
    """Lengths in tokens. doc_stride: overlap of neighbouring windows of a long QA context."""

    max_length: Annotated[int, Field(ge=8)] = 128
    doc_stride: Positive = 32
    max_target_length: Annotated[int, Field(ge=4)] = 32


class Named(BaseModel):
    """A component chosen by name; the other keys are its own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class AlgorithmConfig(Named):
    """name: FedAvg, FedProx, ... or path/to/mine.py:MyMethod; parameters: the class's fields."""

    name: MethodName = "FedAvg"


class PartitionConfig(Named):
    """name and parameters of a partitioner, or the file of a stored partition."""

    name: str | None = None
    file: FilePath | None = None
    clients: Positive | None = None
    seed: Count = 0
    min_size: Positive = 1
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of clients never trained on
    skew: str | None = None  # what counts as the class: default from the dataset card
    encoder: CardName | None = (
        None  # model card that embeds texts for clusters: default TF-IDF + SVD
    )


class ServerConfig(Named):
    """The server optimizer; by default the algorithm's own."""

    optimizer: str | None = None


class SamplingConfig(Section):
    """Who trains in a round. `activity`: probability by n^gamma (Dupuy et al. 2022)."""

    name: Literal["uniform", "proportional", "activity"] = "uniform"
    clients_per_round: Positive = 10
    gamma: Annotated[float, Field(ge=0, le=4)] = 1.0  # activity only


class ClientConfig(Section):
    """Local training of one client; the centralized run uses the same.

    batch_size: examples of a batch. batch_tokens: instead, as many examples as fit into so many
    padded tokens; a step's loss is a mean over its examples either way.

    on_nonfinite: what becomes of a client whose training gave NaN or an infinity. It stands here,
    beside the rate that causes it; the centralized run has no client to leave out and stops.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0  # sgd only
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    epochs: Positive = 1
    batch_size: Positive = 8
    batch_tokens: Positive | None = None
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    schedule: Literal["constant", "linear"] = "constant"
    schedule_span: Literal["run", "participation"] = "run"
    warmup: Fraction = 0.0  # share of the span
    on_nonfinite: Literal["stop", "skip"] = "stop"


class CentralizedConfig(Section):
    """The reference. `client` overrides keys of `client` for it (its own tuned rate)."""

    budget: Literal["matched", "converged", "none"] = "matched"
    epochs: Positive = 10  # converged only
    client: dict[str, Any] = Field(default_factory=dict)


class EvaluationConfig(Section):
    """every: rounds between validations. validation_examples: a seeded subset of that size."""

    every: Positive = 1
    tokens_per_batch: Positive = 8192
    validation_examples: Positive | None = None
    min_client_examples: Positive = 20
    local_only: Annotated[int, Field(ge=0, le=50)] = 0  # clients trained alone for comparison


class EngineConfig(Section):
    """name: what runs the clients of a round. `local`: this process and its workers.

    aggregation: uploads are summed in float32 (`fast`) or in whole numbers (`exact`), whose order
    does not matter (`fednlp.engines.sums`). on_worker_loss: what `torchrun` does when a process is
    lost: stop, or go on from the last round when torchrun starts all again. timeout: seconds
    without a sign of life after which a process counts as lost.

    Of `fedml` (docs/fedml.md): backend: what carries messages. server: host:port at which GRPC's
    server listens, and nowhere else. silos: processes that hold clients; null: those that mpirun
    started. round_timeout: seconds that a round waits. min_clients: answers that a round can do
    with; null: all. message_limit: bytes. tls: folder of certificates for GRPC.

    workers: processes that train clients and score batches. threads: of torch, in each of them.

    together: clients that are trained at once; 1: one by one. See `fednlp.processes` and
    `fednlp.together.choice` for what `auto` and null become. graphs: local steps are recorded as
    CUDA graphs, where there is a GPU. compile: the model's forward in training by `torch.compile`.
    """

    name: Literal["local", "torchrun", "fedml"] = "local"
    aggregation: Literal["fast", "exact"] = "fast"
    on_worker_loss: Literal["stop", "continue"] = "stop"
    timeout: Annotated[float, Field(ge=5, le=86400)] = 300.0
    backend: Literal["MPI", "GRPC"] = "MPI"
    server: str = "127.0.0.1:50061"
    silos: Annotated[int, Field(gt=0, le=1024)] | None = None
    round_timeout: Annotated[float, Field(ge=1, le=86400)] = 600.0
    min_clients: Positive | None = None
    message_limit: Annotated[int, Field(ge=1000, le=2**40)] = 2**30
    tls: FilePath | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Literal["auto"] | Annotated[int, Field(gt=0, le=1024)] = "auto"
    threads: Annotated[int, Field(gt=0, le=1024)] | None = None
    together: Annotated[int, Field(gt=0, le=1024)] | Literal["auto"] = "auto"
    graphs: bool = True
    compile: bool = False


class CheckpointConfig(Section):
    """every: rounds between resumable states. keep_every: rounds whose weights are kept."""

    every: Positive = 1
    keep_every: Count = 0


class RunConfig(Section):
    """One federated run and the centralized reference it is measured against."""

    dataset: DatasetConfig
    model: ModelConfig
    partition: PartitionConfig
    algorithm: AlgorithmConfig = AlgorithmConfig()
    server: ServerConfig = ServerConfig()
    client: ClientConfig = ClientConfig()
    sampling: SamplingConfig = SamplingConfig()
    rounds: Positive = 10
    seed: Count = 0
    tokens: TokensConfig = TokensConfig()
    centralized: CentralizedConfig = CentralizedConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    precision: Literal["fp32", "bf16"] = "fp32"
    engine: EngineConfig = EngineConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    trackers: list[Literal["tensorboard", "wandb", "mlflow"]] = Field(default_factory=list)

    def resolved(self) -> dict[str, Any]:
        """The complete configuration as plain data."""
        return self.model_dump(mode="json")


_SHORT_FORMS = ("dataset", "model", "partition", "algorithm", "sampling")  # `model: mini`


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
        raise _explain(error, where, places or {}) from None
    except UserError as error:
        raise UserError(f"{where}: {error.where}", error.found, error.expected, error.fix) from None
    return config


def override(data: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in place, expanding short forms on the way."""
    node, parts = data, key.split(".")
    for depth, part in enumerate(parts[:-1]):
        child = node.get(part)
        if depth == 0 and part in _SHORT_FORMS and isinstance(child, str):
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
        key: {"name": value} if key in _SHORT_FORMS and isinstance(value, str) else value
        for key, value in data.items()
    }


def beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The content of a file in the folder: short forms written out, paths made whole."""
    data = {k: dict(v) if isinstance(v, dict) else v for k, v in expanded(data).items()}
    for (section, key), made_whole in _PATHS.items():
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
        raise _explain(error, "centralized.client", {}) from None
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
    if client.warmup and client.schedule == "constant":
        raise UserError(
            f"{where}.warmup",
            "has no effect with schedule 'constant'",
            "0",
            "use client.schedule: linear or drop it",
        )


def central_client(config: RunConfig) -> ClientConfig:
    """The client settings of the centralized run: `client` with `centralized.client` laid over."""
    return ClientConfig.model_validate({**config.client.model_dump(), **config.centralized.client})


def _explain(error: ValidationError, where: str, places: Places) -> UserError:
    errors = error.errors(include_url=False)
    first = min(
        errors, key=lambda e: e["type"] not in ("extra_forbidden", "invalid_key")
    )  # a misspelt key is missing
    path = _without_tags(first["loc"])
    key = ".".join(path) or "the configuration"
    known = (places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places)
    place = f"{next(known, where)}: {key}"
    if first["type"] == "extra_forbidden":
        return UserError(place, "unknown key", fix=nearest(path[-1], _known_keys(path[:-1])))
    if first["type"] == "missing":
        return UserError(place, "is missing", fix="add it")
    same = [_message(e["type"], e["msg"], path) for e in errors if _without_tags(e["loc"]) == path]
    messages = [message[0].lower() + message[1:] for message in same]
    wanted = dict.fromkeys(message.replace("input should be ", "") for message in messages)
    return UserError(place, f"found {first['input']!r}", " or ".join(wanted))


def _message(kind: str, message: str, path: tuple[str, ...]) -> str:
    """What pydantic says, without the name of a class of ours."""
    if kind != "model_type":
        return message
    named = len(path) == 1 and path[0] in _SHORT_FORMS
    return "a name or a mapping with a name" if named else "a mapping of keys to values"


def _without_tags(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys of a place, without what pydantic calls the branches of a union."""
    return tuple(
        str(part)
        for part in location
        if not re.fullmatch(r"(constrained-)?(int|float|str|bool)|\w+\[.*\]", str(part))
    )


def _known_keys(path: tuple[str, ...]) -> list[str]:
    model: Any = RunConfig
    for part in path:
        model = model.model_fields[part].annotation
        candidates = [model, *getattr(model, "__args__", ())]
        model = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), Section
        )
    return list(model.model_fields)
