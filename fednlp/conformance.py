"""The conformance kit: what a new method must do before its numbers mean anything.

Everything runs at tiny size on the embedded corpora with the real harness, so a method that passes
runs unchanged in a benchmark.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from algorithms.algorithm import Algorithm, Client, Cohort, Correction, State, Trained
from fednlp import config as configuration
from fednlp.components import build_algorithm, client_optimizer
from fednlp.config_schema import RunConfig
from fednlp.errors import is_user_error
from fednlp.experiment import Experiment
from fednlp.hooks import Problem, state_problem, vector_problem
from fednlp.random_streams import torch_generator
from fednlp.runs import run_pair
from tasks import TASKS

DATASETS = {
    "text_classification": "synthetic_topics",
    "sequence_tagging": "synthetic_events",
    "question_answering": "synthetic_facts",
    "seq2seq": "synthetic_headlines",
}
CLIENTS: tuple[dict[str, Any], ...] = (
    {"optimizer": "sgd", "lr": 0.05, "batch_size": 8},
    {"optimizer": "sgd", "lr": 0.05, "batch_size": 8, "momentum": 0.5},
    {"optimizer": "adamw", "lr": 2e-3, "batch_size": 8},
)
MOVE = 0.01  # by which the trained client of a hook check moves every weight
ROUNDS = 2
Make = Callable[..., RunConfig]  # task, rounds -> a tiny run of the method


@dataclass(frozen=True)
class Outcome:
    name: str
    passed: bool
    detail: str = ""


class _Failed(Exception):
    pass


def check_method(method: str) -> Iterator[Outcome]:
    """Yields one outcome per check; a failed check does not stop the others.

    Args:
        method: `path/to/mine.py:MyMethod`, or the name of a published method.

    Raises:
        UserError: the file or the class cannot be loaded, or refuses all client optimizers.
    """
    make = partial(_config, method, _accepted_client(method))
    experiment = Experiment(make("text_classification"))
    yield from _hooks(experiment.algorithm, experiment)
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            yield _outcome(f"runs on {task}", partial(_runs, make, task, Path(folder)))
        yield _outcome("is deterministic", lambda: _repeats(make, Path(folder)))
        yield _outcome("resumes to the same bits", lambda: _resumes(make, Path(folder)))
        yield _outcome("bytes are accounted", lambda: _bytes(make, experiment, Path(folder)))


def _accepted_client(method: str) -> dict[str, Any]:
    """The first client optimizer that the method does not refuse."""
    refusals: list[Exception] = []
    for client in CLIENTS:
        try:
            build_algorithm(_config(method, client, "text_classification"))
        except ValueError as error:
            refusals.append(error)
        else:
            return client
    raise refusals[0]


def _outcome(name: str, check: Callable[[], None]) -> Outcome:
    try:
        check()
    except _Failed as failure:
        return Outcome(name, False, str(failure))
    except Exception as error:  # a method under test may raise anything
        if is_user_error(error):
            return Outcome(name, False, str(error))
        return Outcome(name, False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return Outcome(name, True)


def _require(condition: bool, failure: str) -> None:
    if not condition:
        raise _Failed(failure)


# hooks and shapes ------------------------------------------------------------------------------


def _hooks(algorithm: Algorithm, experiment: Experiment) -> Iterator[Outcome]:
    weights = experiment.initial_weights.clone()
    layout, optimizer = experiment.model.layout, client_optimizer(experiment.config.client)
    holder: dict[str, Any] = {}

    def server_hooks() -> None:
        with _untouched("init_server", weights=weights):
            holder["server"] = algorithm.init_server(weights, layout)
        _state("init_server", holder["server"])
        with _untouched("download", weights=weights, server=holder["server"]):
            holder["received"] = algorithm.download(weights, holder["server"])
        _state("download", holder["received"])
        _require("weights" in holder["received"], "download gives no tensor named 'weights'")
        with _untouched("init_client", weights=weights):
            holder["state"] = algorithm.init_client(weights)
        _state("init_client", holder["state"])
        _require(algorithm.weight(7) > 0, "weight(7) is not positive")

    yield _outcome("server hooks give tensors", server_hooks)
    if "state" not in holder:
        return

    def upload(move: float) -> tuple[State, State]:
        """The decoded payload of a client that `move` moves, and its new state."""

        def train(start: Tensor, correct: Correction | None) -> Trained:
            if correct is not None:
                _correction(correct, client, start)
            return Trained(start + move, 1, optimizer.lr, (optimizer.lr,))

        client = Client(
            index=0,
            examples=7,
            round=0,
            received=dict(holder["received"]),
            state=_copy(holder["state"]),
            layout=layout,
            optimizer=optimizer,
            generator=torch_generator(0, "check"),
            train=train,
        )
        given = {"received": dict(client.received), "state": dict(client.state)}
        with _untouched("a client hook", weights=weights, **given):
            payload = algorithm.local_update(client)
        _state("local_update", payload)
        _fit("local_update", state_problem(client.state, "left client.state as"))
        with _untouched("decode", weights=weights, payload=payload):
            return algorithm.decode(payload, weights), client.state

    def client_hooks() -> None:
        decoded, _ = upload(MOVE)
        _state("decode", decoded)
        _require(bool(decoded), "local_update uploads nothing")

    yield _outcome("client hooks give tensors", client_hooks)

    def personal() -> None:
        """Before and after the client took part."""
        for state in ({}, upload(MOVE)[1]):
            with _untouched("personal", weights=weights, state=state):
                own = algorithm.personal(weights, state)
            if own is not None:
                _vector("personal", own, weights)

    yield _outcome("personal gives weights or None", personal)

    def update(move: float) -> tuple[Tensor, bool]:
        generator = torch_generator(0, "check server")
        before = generator.get_state()
        cohort = Cohort(0, 1, 4, 0.25, generator)
        server, mean = _copy(holder["server"]), upload(move)[0]
        with _untouched("server_update", weights=weights, server=dict(server), mean=dict(mean)):
            after = algorithm.server_update(weights, mean, server, cohort)
        _fit("server_update", state_problem(server, "left the server state as"))
        return after, not torch.equal(before, generator.get_state())

    def server_update() -> None:
        after, drew = update(MOVE)
        _vector("server_update", after, weights)
        step = float((after - weights).sum())  # along the client's move, which is equal everywhere
        _require(bool((after != weights).any()), "a cohort that moved leaves the weights unmoved")
        _require(drew or step > 0, "the server moves away from what its clients learned")

    yield _outcome("server_update gives new weights", server_update)

    def standstill() -> None:
        after, drew = update(0.0)
        if not drew:  # a method that adds noise may move
            change = float((after - weights).abs().max())
            _require(change < 1e-6, f"clients that learned nothing move weights by {change:.2g}")

    yield _outcome("identity: no learning, no change", standstill)


def _correction(correct: Correction, client: Client, start: Tensor) -> None:
    """One step alone, then for two clients at once by `torch.vmap`, which must say the same."""
    gradient, at = torch.full_like(start, 0.5), start + MOVE
    state = dict(client.state)
    given = {"received": dict(client.received), "state": state}
    with _untouched("correct", gradient=gradient, weights=at, **given):
        corrected = correct(gradient, at)
    _vector("correct", corrected, start)

    after, drawn = dict(client.state), client.generator.get_state()

    def one(gradient: Tensor, weights: Tensor, own: State) -> Tensor:
        _fill(client.state, own)
        return correct(gradient, weights)

    states = {name: _twice(tensor) for name, tensor in state.items()}
    try:
        together = torch.vmap(one, randomness="different")(_twice(gradient), _twice(at), states)
    except RuntimeError as error:
        text = str(error).split(". ")[0]
        raise _Failed(f"correct does not run for several clients at once: {text}") from None
    finally:
        _fill(client.state, after)
    if torch.equal(drawn, client.generator.get_state()):  # noise is drawn anew
        same = torch.allclose(together[0], corrected, rtol=1e-4, atol=1e-6)
        _require(same, "correct differs when it runs for several clients at once")


def _twice(tensor: Tensor) -> Tensor:
    return torch.stack([tensor, tensor])


def _fill(state: State, content: State) -> None:
    """Replaces the content of a dict that a method may hold on to."""
    state.clear()
    state.update(content)


@contextmanager
def _untouched(hook: str, **given: Tensor | State) -> Iterator[None]:
    """No tensor that a hook is given may be edited in place; entries may be replaced."""
    named: list[tuple[str, Tensor]] = []
    for name, value in given.items():
        if isinstance(value, Tensor):
            named.append((f"the {name}", value))
        else:
            named += [(f"{name}['{key}']", tensor) for key, tensor in value.items()]
    copies = [tensor.clone() for _, tensor in named]
    try:
        yield
        for (name, tensor), copy in zip(named, copies, strict=True):
            _require(torch.equal(tensor, copy), f"{hook} edits {name} in place")
    finally:  # one fault is told once
        for (_, tensor), copy in zip(named, copies, strict=True):
            tensor.copy_(copy)


def _copy(state: State) -> State:
    return {name: tensor.clone() for name, tensor in state.items()}


def _state(name: str, state: Any) -> None:
    _fit(name, state_problem(state))


def _vector(name: str, vector: Any, like: Tensor) -> None:
    _fit(name, vector_problem(vector, like))
    _require(bool(torch.isfinite(vector).all()), f"{name} gave what is not finite")


def _fit(name: str, problem: Problem) -> None:
    if problem is not None:
        found, expected = problem
        raise _Failed(f"{name} {found}; expected {expected}")


# whole runs ------------------------------------------------------------------------------------


def _config(method: str, client: dict[str, Any], task: str, rounds: int = ROUNDS) -> RunConfig:
    data: dict[str, Any] = {
        "dataset": {
            "name": DATASETS[task],
            "sizes": {"train": 64, "validation": 16, "test": 32},
        },
        "model": "tiny",
        "partition": {"name": "uniform", "clients": 4},
        "algorithm": method,
        "client": client,
        "sampling": {"clients_per_round": 2},
        "rounds": rounds,
        "tokens": {"max_length": 48, "doc_stride": 16, "max_target_length": 8},
        "centralized": {"budget": "none"},
        "evaluation": {"min_client_examples": 1},  # personal weights are scored
    }
    return configuration.build(data, method)


def _run(config: RunConfig, out: Path) -> tuple[list[str], dict[str, Any]]:
    """Digest of the weights after every round, and the last record."""
    from fednlp.results.reading import load_run

    out.mkdir(parents=True, exist_ok=True)
    result, _ = run_pair(config, out, Console(quiet=True))
    run = load_run(out / result.folder)
    return [record["weights_sha256"] for record in run.rounds], run.rounds[-1]


def _runs(make: Make, task: str, folder: Path) -> None:
    digests, _ = _run(make(task), folder / "runs")
    _require(len(set(digests)) == ROUNDS, "the weights do not change from round to round")


def _repeats(make: Make, folder: Path) -> None:
    first, _ = _run(make("text_classification"), folder / "runs")
    again, _ = _run(make("text_classification"), folder / "again")
    for number, (one, two) in enumerate(zip(first, again, strict=True), start=1):
        _require(one == two, f"the same run twice differs from round {number} on")


def _resumes(make: Make, folder: Path) -> None:
    whole, _ = _run(make("text_classification"), folder / "runs")
    _run(make("text_classification", rounds=1), folder / "resumed")
    resumed, _ = _run(make("text_classification"), folder / "resumed")
    _require(
        whole == resumed,
        "continuing after round 1 differs: something is kept outside server and client state",
    )


def _bytes(make: Make, experiment: Experiment, folder: Path) -> None:
    from fednlp.plan import plan

    _, record = _run(make("text_classification"), folder / "runs")
    predicted = plan(experiment)
    for name, total in (("bytes_down", predicted.bytes_down), ("bytes_up", predicted.bytes_up)):
        _require(record[name] > 0, f"{name} is 0")
        _require(
            record[name] * ROUNDS == total,
            f"{name} of a round is {record[name]}, but the payload's shape says {total // ROUNDS}",
        )
