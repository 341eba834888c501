"""The engine of a federation: the round of the local engine, whose clients are silos' processes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from torch import Tensor

from algorithms.algorithm import State
from fednlp.checkpoint import restored
from fednlp.client_states import StoredStates
from fednlp.engines.client import Assignment, Upload, client_place, payload_bytes
from fednlp.engines.engine import ClientStates, RoundOutcome
from fednlp.engines.fedml.codec import mismatch
from fednlp.engines.fedml.collection import Collection
from fednlp.engines.fedml.expected import Expected, expected
from fednlp.engines.fedml.handshake import Facts, facts
from fednlp.engines.fedml.ledger import Ledger
from fednlp.engines.fedml.messages import Answer, Train
from fednlp.engines.fedml.roles import current_hub
from fednlp.engines.fedml.round import FederatedRound, Rejected, bytes_down
from fednlp.engines.sums import weighted_sum
from fednlp.engines.tally import Tally
from fednlp.errors import UserError
from fednlp.evaluation import predict
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks, blaming
from fednlp.identity import Identity, federated_identity
from fednlp.nonfinite import nonfinite
from fednlp.profile import AGGREGATION, ALGORITHM, REST, WAITING, clock
from fednlp.results.run_folder import RunFolder


class FedmlEngine:
    """An `engines.engine.Engine`. It trains nothing itself; what is scored is scored here."""

    peak_memory = 0  # silos are not this run's to measure

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.hub = experiment, current_hub()
        self.method = Hooks(experiment.algorithm)
        self._ledger: Ledger | None = None
        self._expected: Expected | None = None
        self._handed = Counter[str]()  # states of an earlier run: how many, and their bytes
        self._notes: list[str] = []

    @cached_property
    def identity(self) -> Identity:
        return federated_identity(self.experiment)

    @property
    def run(self) -> str:
        return self.identity.id

    @cached_property
    def _facts(self) -> Facts:
        return facts(self.experiment, self.identity)

    @cached_property
    def stateful(self) -> bool:
        first = self.method.init_client(self.experiment.initial_weights, "a client")
        return bool(first)

    def run_round(
        self,
        round: int,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        states: ClientStates,
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        config, method = self.experiment.config, self.method
        clock.lap(REST)
        received = method.download(weights, server, f"server, round {round + 1}")
        if self._expected is None:
            self._expected = expected(self.experiment, weights, received)
        self._join()
        federated = self._round(round, weights, received, cohort, states)
        clock.lap(ALGORITHM)
        tally = Tally(round, len(cohort), config.client.on_nonfinite == "skip")
        outcome = tally.outcome
        total = weighted_sum(config.engine.aggregation, weights.device)
        for assignment, upload in federated.in_order():
            clock.lap(WAITING)
            began, place = time.perf_counter(), client_place(assignment.client, round)
            if upload is not None and tally.take(assignment, upload):
                with blaming(type(method.algorithm), "decode", place):
                    total.add(upload.decoded, assignment.weight)
                self._ledger_of(states).add(assignment.client, round)
            clock.lap(AGGREGATION)
            outcome.device_seconds += time.perf_counter() - began
            on_client()
        self._tell(outcome, federated)
        _require_enough(round, federated, tally, config.engine.min_clients)
        outcome.mean = total.mean(tally.total_weight)
        clock.lap(AGGREGATION)
        return outcome

    def predict(self, split: str, weights: Tensor, indices: np.ndarray) -> list:
        return predict(self.experiment, split, weights, indices)

    def finish(self, states: ClientStates) -> None:
        """Collects the clients' states of the last and of the selected round."""
        if not self.stateful:
            return
        assert isinstance(states, StoredStates)
        ledger, folder = self._ledger_of(states), states.folder
        best = folder.manifest.best_round
        last = {k: ledger.last(k, folder.manifest.completed) for k in ledger.took_part}
        chosen = {k: ledger.last(k, best) for k in ledger.took_part}
        wanted = {(k, r) for held in (last, chosen) for k, r in held.items() if r >= 0}
        have = {(k, r) for k, r in wanted if folder.has_client_state(k, r)}
        size = 0
        if wanted - have:
            self._join()
            seconds = self.experiment.config.engine.round_timeout
            like = self._expected_of(folder).states
            asked = Collection(self.hub, self.run, sorted(wanted - have), seconds, like)
            for place, state in asked:
                folder.put_client_state(*place, state)
                size += payload_bytes(state)
        folder.commit_client_states(
            {k: r for k, r in last.items() if r >= 0}, {k: r for k, r in chosen.items() if r >= 0}
        )
        count = len(wanted - have)
        if self._handed["states"]:
            handed = "{states} of {bytes:,} bytes".format(**self._handed)
            self._notes.append(f"client states sent to their silos again: {handed}, in no cost")
        self._notes.append(
            f"client states collected after the last round: {count} of {size:,} bytes, in no cost"
        )

    def notes(self) -> list[str]:
        return self._notes

    def facts(self) -> dict[str, Any]:
        engine = self.experiment.config.engine
        exact = {"aggregation": "exact"} if engine.aggregation == "exact" else {}
        carrier = {"engine": "fedml", "backend": engine.backend, "silos": len(self.hub.silos)}
        return {**carrier, "fedml": version("fedml"), **exact}

    def close(self) -> None:
        """The federation goes on for the next run."""

    # internals -------------------------------------------------------------------------------

    def _join(self) -> None:
        engine = self.experiment.config.engine
        self.hub.begin(
            self.run,
            self.experiment.config.seed,
            self._facts,
            engine.min_clients is None,
            engine.round_timeout,
        )

    def _expected_of(self, folder: RunFolder) -> Expected:
        """Of a run that has rounds, none of which may have been made by this process."""
        if self._expected is None:
            weights, server = restored(self.experiment, folder, self.method)
            received = self.method.download(weights, server, "server, after the last round")
            self._expected = expected(self.experiment, weights, received)
        return self._expected

    def _ledger_of(self, states: ClientStates) -> Ledger:
        if self._ledger is None:
            assert isinstance(states, StoredStates)  # whose folder tells who took part when
            self._ledger = Ledger(states.folder.rounds())
        return self._ledger

    def _round(
        self,
        round: int,
        weights: Tensor,
        received: State,
        cohort: list[Assignment],
        states: ClientStates,
    ) -> FederatedRound:
        engine, ledger = self.experiment.config.engine, self._ledger_of(states)
        assert isinstance(states, StoredStates)
        folder = states.folder

        def ask(client: int) -> Train:
            before, keep = -1, []
            if self.stateful:
                before, keep = ledger.last(client, round), ledger.keep(client, folder.manifest)
            return Train(run=self.run, round=round, client=client, state=before, keep=keep)

        def kept(asked: Train) -> State | None:
            if asked.state < 0 or folder.client_round(asked.client) != asked.state:
                return None
            state = folder.client_state(asked.client)
            self._handed.update(states=1, bytes=payload_bytes(state or {}))
            return state

        def accept(answer: Answer, payload: State) -> Upload:
            return self._upload(answer, payload, weights)

        needed = min(engine.min_clients or len(cohort), len(cohort))
        return FederatedRound(
            self.hub, cohort, received, ask, kept, accept, needed, engine.round_timeout
        )

    def _upload(self, answer: Answer, payload: State, weights: Tensor) -> Upload:
        """Raises Rejected: it is not what an honest client of this run could send."""
        device = self.experiment.device
        upload = Upload(answer.work, payload_bytes(payload), answer.seconds)
        upload.problem = answer.problem
        if answer.problem is not None:
            return upload
        problem = nonfinite(payload, "upload")
        if problem is not None:
            raise Rejected(problem)
        payload = {name: tensor.to(device) for name, tensor in payload.items()}
        place = client_place(answer.client, answer.round)
        try:
            decoded = self.method.decode(payload, weights, place)
        except Exception as error:  # of whatever the wire has brought
            raise Rejected(f"an upload that cannot be decoded ({_words(error)})") from None
        assert self._expected is not None
        different = mismatch(decoded, self._expected.upload)
        if different is not None:
            raise Rejected(f"an upload that {different}")
        fresh = {name: t for name, t in decoded.items() if t is not payload.get(name)}
        upload.problem = nonfinite(fresh, "decoded upload")
        upload.decoded = {} if upload.problem else decoded
        return upload

    def _tell(self, outcome: RoundOutcome, federated: FederatedRound) -> None:
        clients = [a.client for a in federated.cohort]
        outcome.missing = {clients[p]: why for p, why in sorted(federated.missing.items())}
        outcome.rejected = {clients[p]: why for p, why in sorted(federated.rejected.items())}
        outcome.stray = federated.stray
        outcome.bytes_down = bytes_down(federated)


def _require_enough(
    round: int, federated: FederatedRound, tally: Tally, min_clients: int | None
) -> None:
    """Raises UserError: a round with fewer answers than it needs, or with no mean."""
    count = len(federated.cohort)
    absent = {**tally.outcome.missing, **tally.outcome.rejected}
    left = count - len(absent)
    if left < federated.needed or tally.total_weight == 0:
        told = "; ".join(f"client {k}: {why}" for k, why in sorted(absent.items())[:3])
        more = f"; and {len(absent) - 3} more" if len(absent) > 3 else ""
        found = f"{left} of {count} clients gave an answer ({told}{more})"
        fix = "the same command continues"
        if min_clients is None and not federated.failed:  # what a silo has lost does not come back
            fix += "; engine.min_clients lets a round do with fewer"
        raise UserError(f"round {round + 1}", found, f"{federated.needed}", fix)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
