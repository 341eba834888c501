"""The schema of `result.json`: typed, versioned, and the only thing tables are made from.

`schema_version` rises when a field changes its meaning; readers refuse a newer one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fednlp.results.bounds import Count, Metric, Number, Seconds, Seed

SCHEMA_VERSION = 1
SUMMED = ("config.yaml", "environment.json", "clients.csv", "predictions.parquet")


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Score(Record):
    """Metrics (0..1) of one model on the validation and test splits, after round `round`.

    test_stderr: standard error of the primary metric over test examples (bootstrap of 200).
    """

    round: int
    weights_sha256: str
    validation: dict[str, Metric]
    test: dict[str, Metric]
    test_stderr: Metric


class Costs(Record):
    """What the run consumed; bytes count every participating client, both directions apart.

    padding_waste: padded / real tokens; None in results of versions that did not tell it.
    bytes_base: one-time download of frozen weights by every client that took part.
    device_seconds: local training and aggregation; evaluation apart. wall_seconds: the rounds and
    what follows them (tests, clients' scores, clients trained alone); preparing data is in neither.
    peak_memory_bytes: largest resident sets of the process that concluded the run, since it began
    or continued the run, and of its workers; on a GPU, what torch allocated there at most is
    `peak_device_bytes`.
    """

    rounds: Count
    examples: Count
    steps: Count
    real_tokens: Count
    padded_tokens: Count
    bytes_up: Count
    bytes_down: Count
    bytes_base: Count
    device_seconds: Seconds
    evaluation_seconds: Seconds
    wall_seconds: Seconds
    peak_memory_bytes: Count
    peak_device_bytes: Count = 0
    padding_waste: Number | None = None


class ClientScores(Record):
    """The primary metric over clients that have enough test examples; held-out clients apart.

    coverage: scored clients / clients. worst_decile: mean over the worst tenth (at least one).
    local_only: mean over the clients that were also trained alone, for both models.
    """

    clients: Count
    scored: Count
    coverage: Metric
    mean: Metric | None = None
    std: Metric | None = None
    worst_decile: Metric | None = None
    personal: bool = False
    held_out_scored: Count = 0
    held_out_mean: Metric | None = None
    local_only_clients: Count = 0
    local_only_mean: Metric | None = None
    federated_mean_same_clients: Metric | None = None


class Reference(Record):
    """The centralized run that a federated run is measured against."""

    id: str
    folder: str
    budget: Literal["matched", "converged"]


class Trial(Record):
    """One setting that a search tried.

    validation: the best round's primary metric, its mean over the search's seeds; None where the
    weights of a seed became NaN or infinite.
    """

    values: dict[str, Any]
    validation: Metric | None


class Tuning(Record):
    """The search that a run's settings come from, on validation alone.

    seeds, rounds: of every trial. trials: in the order of the search. chosen: position of the best
    one, the first of equals; tied: how many others are equal to it. edges: keys whose chosen value
    is the smallest or the largest that was tried, or allowed, so that a better one may lie beyond.
    """

    seeds: list[int]
    rounds: int
    trials: list[Trial]
    chosen: int
    tied: int
    edges: list[str]

    @property
    def budget(self) -> str:
        """In words."""
        trials = "trial" if len(self.trials) == 1 else "trials"
        rounds = "round" if self.rounds == 1 else "rounds"
        seeds = "seed" if len(self.seeds) == 1 else "seeds"
        those = ", ".join(map(str, self.seeds))
        return f"{len(self.trials)} {trials} of {self.rounds} {rounds} with {seeds} {those}"

    @model_validator(mode="after")
    def _holds_the_chosen(self) -> Tuning:
        if not 0 <= self.chosen < len(self.trials):
            raise ValueError("does not hold the trial that it chose")
        if not set(self.edges) <= self.trials[self.chosen].values.keys():
            raise ValueError("an edge is no key of the trial that it chose")
        return self


class Data(Record):
    name: str
    fingerprint: str
    synthetic: bool
    skipped: Count = 0  # bad records left out (dataset.skip_bad)
    examples: dict[str, Count]


class Model(Record):
    name: str
    trainable: Count
    frozen: Count


class Result(Record):
    schema_version: int = SCHEMA_VERSION
    kind: Literal["federated", "centralized"]
    id: str
    folder: str
    task: str
    data: Data
    model: Model
    partition: dict[str, Any] | None = None  # provenance and achieved skew
    algorithm: dict[str, Any] | None = None
    client: dict[str, Any]
    seed: Seed
    primary_metric: str
    floor: dict[str, dict[str, Metric]]  # split -> metrics of the majority or copy baseline
    selected: Score  # best validation round
    last: Score
    correction_ratio: Number | None = None  # mean over steps of |correction| / |gradient|
    skipped_uploads: Count = 0  # not finite, left out of their round (client.on_nonfinite: skip)
    budget: Literal["matched", "converged"] | None = None  # centralized runs
    references: list[Reference] = Field(default_factory=list)  # federated runs
    tuned: bool = False
    tuning: Tuning | None = None  # where `tuned`
    clients: ClientScores | None = None
    costs: Costs
    notes: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(default_factory=dict)  # name -> SHA-256, of `SUMMED`
    checksum: str | None = None  # of all the others; every file has it

    def as_json(self) -> bytes:
        """The content of `result.json`, with its checksum."""
        whole = self.model_copy(update={"checksum": self.content_checksum()})
        return (whole.model_dump_json(indent=1) + "\n").encode()

    def content_checksum(self) -> str:
        """SHA-256 of all fields but the checksum."""
        content = self.model_dump(mode="json", exclude={"checksum"})
        if not self.files:  # as in files that are older than the field
            del content["files"]
        if self.tuning is None:  # as in files that are older than the field
            del content["tuning"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _scores_are_whole(self) -> Result:
        key = self.primary_metric
        for name, metrics in (
            ("floor.validation", self.floor.get("validation", {})),
            ("floor.test", self.floor.get("test", {})),
            ("selected.validation", self.selected.validation),
            ("selected.test", self.selected.test),
            ("last.validation", self.last.validation),
            ("last.test", self.last.test),
        ):
            if key not in metrics:
                raise ValueError(f"{name} has no '{key}', the primary metric")
        return self


def absent(record: Mapping[str, Any]) -> set[int]:
    """Clients of a federation's round that gave no answer, or none that could be used."""
    return {int(client) for name in ("missing", "rejected") for client in record.get(name, {})}


def left_out(record: Mapping[str, Any]) -> set[int]:
    """The clients of a round's record that are in no mean."""
    return {*record.get("skipped", []), *absent(record)}


class Round(BaseModel):
    """A line of `rounds.jsonl`: what tables and plots read of it; further entries may stand there.

    `validation` is there in rounds that were validated.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    round: int
    bytes_up: Count
    bytes_down: Count
    examples: Count = 0
    steps: Count = 0
    real_tokens: Count = 0
    padded_tokens: Count = 0
    device_seconds: Seconds | None = None
    evaluation_seconds: Seconds | None = None
    wall_seconds: Seconds | None = None
    train_loss: Number | None = None
    correction_ratio: Number | None = None
    weights_sha256: str = ""
    clients: list[int] = Field(default_factory=list)
    skipped: list[int] = Field(default_factory=list)
    missing: dict[str, str] = Field(default_factory=dict)  # client -> why; of a federation only
    rejected: dict[str, str] = Field(default_factory=dict)
    stray: list[str] = Field(default_factory=list)  # messages that belonged to no client
    validation: dict[str, Metric] | None = None
