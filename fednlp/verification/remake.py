"""The parts of a run made again from its `config.yaml`, in the run's own environment where this
machine has it.

Nothing of a stranger is executed: a method that is not published is replaced by FedAvg, with which
data, scores and model can still be checked, unless its code is trusted and is that of the identity.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from fednlp.config_schema import (
    AlgorithmConfig,
    CheckpointConfig,
    PartitionConfig,
    RunConfig,
    ServerConfig,
)
from fednlp.environment import changes, environment, recorded
from fednlp.errors import is_user_error
from fednlp.experiment import Experiment, check_components, prepare_process
from fednlp.partitions.build import build_partition
from fednlp.results.files import entries, read_json, stands, write_bytes
from fednlp.submissions.layout import METHOD
from fednlp.submissions.method_source import is_source_of
from fednlp.verification.check import NotPossible, Wrong
from fednlp.verification.evidence import Evidence
from fednlp.verification.untrusted import read_bounded, read_partition

PARTITION = "partition.npz"


class Remake:
    """What a run was made from, made again as checks ask for it.

    Args:
        place: an empty folder for what must be a file.
        trust_code: execute the method's own file, if its hash is that of the identity.
    """

    def __init__(self, evidence: Evidence, place: Path, trust_code: bool = False) -> None:
        self.evidence, self.place, self.trust_code = evidence, place, trust_code
        self._refuted: set[int] = set()  # first rounds of recorded environments

    @cached_property
    def unsplit(self) -> Experiment:
        """Data, model and method; of the split, ask `experiment`.

        Raises:
            NotPossible: data, cards or a device are not here.
        """
        config = self._config()
        try:
            check_components(config, "config.yaml")
            prepare_process(config)
            experiment = Experiment(config)
            _ = experiment.corpus, experiment.initial_weights  # before anything is trained
        except ValueError as error:
            if not is_user_error(error):
                raise
            raise NotPossible(f"it cannot be made here: {error}") from None
        return experiment

    @cached_property
    def experiment(self) -> Experiment:
        """The same with the stored split.

        Raises:
            NotPossible: data, cards or a device are not here.
            Wrong: the stored split is none of these data.
        """
        experiment = self.unsplit
        wanted = experiment.config.partition
        try:
            # not the experiment's own, which is remembered by name while the file may change
            experiment.partition = build_partition(wanted, experiment.corpus, experiment.task)
        except ValueError as error:
            if not is_user_error(error):
                raise
            kind = Wrong if wanted.file is not None else NotPossible
            raise kind(f"the split does not fit the data: {error}") from None
        return experiment

    def require_method(self) -> None:
        """Raises NotPossible where the method is a third party's and may not be executed."""
        if self.evidence.third_party and not self.trust_code:
            raise NotPossible("its method is code of a third party; --trust-code executes it")

    def told_changes(self, first: int, last: int) -> list[str]:
        """What this environment has otherwise than that in which rounds first..last are said to be
        made.
        """
        return self._changes(self._made_in(first, last))

    def changes(self, first: int, last: int) -> list[str]:
        """The same without environments that were refuted: what may excuse other bits."""
        made = self._made_in(first, last)
        return self._changes([e for e in made if e["from_round"] not in self._refuted])

    def refute(self, number: int) -> None:
        """Round `number` comes out with the same bits here, so its environment has these bits."""
        self._refuted |= {e["from_round"] for e in self._made_in(number, number)}

    def _changes(self, made: list[dict[str, Any]]) -> list[str]:
        return sorted({change for then in made for change in changes(then, self._now)})

    @cached_property
    def _now(self) -> dict[str, Any]:
        return environment(self.unsplit, self.evidence.result.kind)

    def _made_in(self, first: int, last: int) -> list[dict[str, Any]]:
        spans = self._environments()
        return [e for e, end in spans if e["from_round"] <= last and end >= first]

    def _environments(self) -> list[tuple[dict[str, Any], int]]:
        """Recorded environments, each with its last round."""
        known = recorded(self.evidence.path)
        ends = [e["from_round"] - 1 for e in known[1:]] + [self.evidence.result.costs.rounds]
        return list(zip(known, ends, strict=True))

    def _config(self) -> RunConfig:
        evidence, config = self.evidence, self.evidence.config
        method, server = config.algorithm, config.server
        if not evidence.federated:
            method, server = AlgorithmConfig(), ServerConfig()  # it has none, and needs no code
        elif evidence.third_party and self.trust_code:
            method = method.model_copy(update={"name": self._trusted_method()})
        elif evidence.third_party:
            method, server = AlgorithmConfig(), ServerConfig()
        stored = self._stored_partition()
        partition = PartitionConfig(file=str(stored)) if stored else config.partition
        return config.model_copy(
            update={
                "algorithm": method,
                "server": server,
                "partition": partition,
                "checkpoint": CheckpointConfig(),
                "engine": config.engine.model_copy(update=self._engine()),
            }
        )

    def _engine(self) -> dict[str, Any]:
        """Device, threads and clients at once as they were, where this machine has them.

        Whatever carried the run, it is made again in one process.
        """
        last, _ = self._environments()[-1]
        update: dict[str, Any] = {"name": "local", "reuse_frozen": "reuse_frozen" in last}
        most = {"together": 1024, "threads": os.cpu_count() or 1}
        for key, usual in (("together", 1), ("threads", None)):
            value = last.get(key, usual)
            if type(value) is int and 1 <= value <= most[key]:
                update[key] = value
        if last.get("device") == "cpu":
            update["device"] = "cpu"
        return update

    def _stored_partition(self) -> Path | None:
        """The run's own file; a centralized run has that of a run which is compared with it."""
        own = self.evidence.path / PARTITION
        if self.evidence.federated:
            return own
        for folder in entries(self.evidence.path.parent):
            if stands(folder / PARTITION) and stands(folder / "result.json"):
                try:
                    references = read_json(folder / "result.json")["references"]
                    if self.evidence.result.id in [r["id"] for r in references]:
                        read_partition(folder / PARTITION)
                        return folder / PARTITION
                except (ValueError, LookupError, TypeError, Wrong):
                    continue
        return None

    def _trusted_method(self) -> str:
        """`file:Class` of a copy of the method's file that is the one of the identity."""
        name = self.evidence.config.algorithm.name
        file, _, attribute = name.rpartition(":")
        packed = self.evidence.path / METHOD
        source = packed if stands(packed) else Path(file)
        try:
            data = read_bounded(source)
        except OSError as error:
            raise NotPossible(f"its method cannot be read ({error.strerror})") from None
        if not is_source_of(data, str(self.evidence.content.get("algorithm_source"))):
            raise Wrong(f"{source.name} is not the method of the identity and is not executed")
        copy = self.place / METHOD
        write_bytes(copy, data)
        return f"{copy}:{attribute}"
