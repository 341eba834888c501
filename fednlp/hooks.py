"""A method as the harness calls it: what a hook gives is checked, what it raises is one line.

An exception in a published method keeps its traceback: that is a fault of this program.
"""

from __future__ import annotations

import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from algorithms.algorithm import (
    Algorithm,
    Client,
    ClientOptimizer,
    Cohort,
    Correction,
    Layout,
    State,
)
from fednlp.errors import UserError, is_user_error
from fednlp.nonfinite import is_finite

SEE_CHECK = "see 'check'"
Problem = tuple[str, str] | None  # found, expected


@dataclass(frozen=True)
class Hooks:
    """The hooks of `algorithm`, with the same arguments; `place` names the round or the client.

    Raises:
        UserError: a hook of a third party's method raises, or gives what the contract forbids.
    """

    algorithm: Algorithm

    def check(self, optimizer: ClientOptimizer) -> None:
        with blaming(type(self.algorithm), "check", "before the run"):
            self.algorithm.check(optimizer)

    def init_server(self, weights: Tensor, layout: Layout) -> State:
        return self._call("init_server", "server", state_problem, weights, layout)

    def init_client(self, weights: Tensor, place: str) -> State:
        return self._call("init_client", place, state_problem, weights)

    def download(self, weights: Tensor, server: State, place: str) -> State:
        return self._call("download", place, state_problem, weights, server)

    def weight(self, examples: int) -> float:
        place = f"a client of {examples} examples"
        return float(self._call("weight", place, _weight_problem, examples))

    def local_update(self, client: Client, place: str) -> State:
        payload = self._call("local_update", place, state_problem, client)
        self._require("local_update", place, state_problem(client.state, "left client.state as"))
        return payload

    def checked(self, correct: Correction | None, place: str) -> Correction | None:
        """A correction whose results are checked to be [P]."""
        if correct is None:
            return None

        def corrected(gradient: Tensor, weights: Tensor) -> Tensor:
            result = correct(gradient, weights)
            self._require("correct", place, vector_problem(result, gradient))
            return result

        return corrected

    def decode(self, payload: State, weights: Tensor, place: str) -> State:
        return self._call("decode", place, state_problem, payload, weights)

    def server_update(
        self, weights: Tensor, mean: State, server: State, cohort: Cohort, place: str
    ) -> Tensor:
        def problem(new: Any) -> Problem:
            return vector_problem(new, weights) or state_problem(server, "left the server state as")

        return self._call("server_update", place, problem, weights, mean, server, cohort)

    def personal(self, weights: Tensor, state: State, place: str) -> Tensor | None:
        def problem(own: Any) -> Problem:
            if own is None:
                return None
            finite = ("gave what is not finite", "finite weights")
            return vector_problem(own, weights) or (None if is_finite(own) else finite)

        return self._call("personal", place, problem, weights, state)

    def _call(
        self, hook: str, place: str, problem: Callable[[Any], Problem], *arguments: Any
    ) -> Any:
        with blaming(type(self.algorithm), hook, place):
            value = getattr(self.algorithm, hook)(*arguments)
        self._require(hook, place, problem(value))
        return value

    def _require(self, hook: str, place: str, problem: Problem) -> None:
        if problem is not None:
            where = f"{source_place(type(self.algorithm), hook)} ({place})"
            raise UserError(where, *problem, fix=SEE_CHECK)


def state_problem(state: Any, verb: str = "gave") -> Problem:
    """What keeps a value from being a flat dict of tensors."""
    if not isinstance(state, dict):
        return f"{verb} {type(state).__name__}", "a dict of tensors"
    for name, tensor in state.items():
        if not isinstance(name, str):
            return f"{verb} a dict with the key {name!r}", "text as keys"
        if not isinstance(tensor, Tensor):
            return f"{verb} a dict whose '{name}' is {type(tensor).__name__}", "a tensor"
    return None


def vector_problem(vector: Any, like: Tensor) -> Problem:
    """What keeps a value from being a float32 vector of the size of `like` [P]."""
    expected = f"a float32 tensor [{like.numel()}]"
    if not isinstance(vector, Tensor):
        return f"gave {type(vector).__name__}", expected
    if vector.shape != like.shape or vector.dtype != torch.float32:
        kind = str(vector.dtype).removeprefix("torch.")
        return f"gave a {kind} tensor {list(vector.shape)}", expected
    return None


def _weight_problem(weight: Any) -> Problem:
    if isinstance(weight, Real) and 0 < float(weight) < math.inf:
        return None
    found = f"{float(weight):g}" if isinstance(weight, Real) else type(weight).__name__
    return f"gave {found}", "a finite number above 0"


@contextmanager
def blaming(cls: type, hook: str, place: str) -> Iterator[None]:
    """Tells an exception in a third party's class in one line: its own line, hook and place."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if is_user_error(error) or is_published(cls):
            raise
        where = f"{source_place(cls, hook, error)} ({place})"
        raise UserError(where, f"{type(error).__name__}: {error}", fix=SEE_CHECK) from error


def is_published(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "algorithms"


def source_place(cls: type, hook: str, error: BaseException | None = None) -> str:
    """`file:line: Class.hook`: where the class's file raised `error`, else where the hook stands.

    A hook that was called by another of the same file, as `correct` is, is the one named.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
    frames = traceback.extract_tb(error.__traceback__) if error else []
    own = [frame for frame in frames if frame.filename == file]
    if own:
        hooks = [frame.name for frame in own if hasattr(Algorithm, frame.name)]
        return f"{file}:{own[-1].lineno}: {cls.__name__}.{(hooks or [hook])[-1]}"
    code = getattr(inspect.unwrap(getattr(cls, hook, cls)), "__code__", None)
    if code is not None and code.co_filename == file:
        return f"{file}:{code.co_firstlineno}: {cls.__name__}.{hook}"
    try:
        line = f":{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        line = ""
    return f"{file}{line}: {cls.__name__}.{hook}"
