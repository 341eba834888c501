"""The keys of a run's configuration: types, limits, defaults, and what each means.

Parameters of an algorithm, a partitioner and a server optimizer are checked against the fields of
their classes in `fednlp.components`.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fednlp.places import is_card_path

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
PATHS = {
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
    padded tokens; a step's loss is a mean over its examples either way. order: of examples
    in an epoch; `by_class`, as in unshuffled files, is there to measure what that costs.

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
    order: Literal["shuffled", "by_class"] = "shuffled"  # by_class: classification only
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
    reuse_frozen: what frozen first layers make of a text is computed once (`fednlp.frozen_layers`).
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
    reuse_frozen: bool = True


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


def central_client(config: RunConfig) -> ClientConfig:
    """The client settings of the centralized run: `client` with `centralized.client` laid over."""
    return ClientConfig.model_validate({**config.client.model_dump(), **config.centralized.client})


SHORT_FORMS = ("dataset", "model", "partition", "algorithm", "sampling")  # `model: mini`
