"""A third party's fault is one line that names file, line, class, hook and place; exit code 2."""

from __future__ import annotations

from textwrap import dedent

import pytest
import yaml
from harness import command, run

HEAD = """from dataclasses import dataclass, field
from typing import Any
import torch
from algorithms import FedAvg

@dataclass(frozen=True)
class Mine(FedAvg):
"""
FIRST = HEAD.count("\n") + 1  # line on which a body begins
RAISES = "raise RuntimeError('a bug\\nof two lines')"
SAID = "RuntimeError: a bug of two lines"


def hook(signature, *lines):
    return "\n".join([f"def {signature}:", *(f"    {line}" for line in lines)])


FAULTS = {
    # body, number of the line in it, hook, place, what is said
    "__post_init__": (hook("__post_init__(self)", RAISES), 2, "__post_init__", "algorithm", SAID),
    "a value refused": (
        hook("__post_init__(self)", "raise ValueError('no')"),
        2, "__post_init__", "algorithm", "ValueError: no",
    ),
    "check": (hook("check(self, optimizer)", RAISES), 2, "check", "before the run", SAID),
    "exit": (
        hook("check(self, optimizer)", "raise SystemExit(7)"),
        2, "check", "before the run", "SystemExit: 7",
    ),
    "init_server": (
        hook("init_server(self, weights, layout)", RAISES),
        2, "init_server", "server", SAID,
    ),
    "init_client": (
        hook("init_client(self, weights)", RAISES),
        2, "init_client", "client {k}, round 1", SAID,
    ),
    "download": (
        hook("download(self, weights, server)", RAISES),
        2, "download", "server, round 1", SAID,
    ),
    "weight": (
        hook("weight(self, examples)", RAISES),
        2, "weight", "a client of 24 examples", SAID,
    ),
    "weight 0": (
        hook("weight(self, examples)", "return 0"),
        1, "weight", "a client of 24 examples", "gave 0; expected a finite number above 0",
    ),
    "weight none": (
        hook("weight(self, examples)", "pass"),
        1, "weight", "a client of 24 examples", "gave NoneType; expected a finite number above 0",
    ),
    "local_update": (
        hook("local_update(self, client)", RAISES),
        2, "local_update", "client {k}, round 1", SAID,
    ),
    "correct": (
        hook("correct(self, gradient, weights, client)", RAISES),
        2, "correct", "client {k}, round 1", SAID,
    ),
    "a scalar gradient": (
        hook("correct(self, gradient, weights, client)", "return gradient.sum()"),
        1, "correct", "client {k}, round 1", "gave a float32 tensor []; expected",
    ),
    "payload": (
        hook("local_update(self, client)", "return [client.received['weights']]"),
        1, "local_update", "client {k}, round 1", "gave list; expected a dict of tensors",
    ),
    "client state": (
        hook(
            "local_update(self, client)",
            "client.state['n'] = 1",
            "return super().local_update(client)",
        ),
        1, "local_update", "client {k}, round 1",
        "left client.state as a dict whose 'n' is int; expected a tensor",
    ),
    "decode": (
        hook("decode(self, payload, weights)", RAISES),
        2, "decode", "client {k}, round 1", SAID,
    ),
    "what the base misses": (
        hook("local_update(self, client)", "return {'other': client.received['weights']}"),
        -1, "server_update", "server, round 1", "KeyError: 'delta'",
    ),
    "server_update": (
        hook("server_update(self, weights, mean, server, cohort)", RAISES),
        2, "server_update", "server, round 1", SAID,
    ),
    "new weights": (
        hook("server_update(self, weights, mean, server, cohort)", "return weights[:-1]"),
        1, "server_update", "server, round 1", "gave a float32 tensor [",
    ),
    "double weights": (
        hook("server_update(self, weights, mean, server, cohort)", "return weights.double()"),
        1, "server_update", "server, round 1", "gave a float64 tensor [",
    ),
    "server state": (
        hook(
            "server_update(self, weights, mean, server, cohort)",
            "server['n'] = 1",
            "return weights + 1",
        ),
        1, "server_update", "server, round 1",
        "left the server state as a dict whose 'n' is int; expected a tensor",
    ),
    "personal": (
        hook("personal(self, weights, state)", RAISES),
        2, "personal", "client 0, after the last round", SAID,
    ),
    "short personal": (
        hook("personal(self, weights, state)", "return weights[:3]"),
        1, "personal", "client 0, after the last round", "gave a float32 tensor [3]; expected",
    ),
    "field": (
        "allowed: Any = field(default_factory=lambda: {1, 2})",
        -1, "allowed", None, "a field of value {1, 2}; expected plain data",
    ),
    "infinite field": (
        "bound: float = float('inf')",
        -1, "bound", None, "a field of value inf; expected plain data",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, small_data, tmp_path):
    body, line, name, place, said = FAULTS[fault]
    path, config = tmp_path / "mine.py", tmp_path / "config.yaml"
    path.write_text(HEAD + "    " + dedent(body).replace("\n", "\n    ") + "\n")
    changes = {"rounds": 1, "centralized.budget": "none", "evaluation.min_client_examples": 1}
    config.write_text(yaml.safe_dump(small_data(changes, algorithm=f"{path}:Mine")))
    message = command("run", config, "--out", tmp_path / "runs").one_line()
    number = FIRST - 2 if line < 0 else FIRST + line - 1  # -1: the class
    assert f"{path}:{number}: Mine.{name}" in message, message
    assert said in message
    if place is not None:
        assert any(f"({place.format(k=k)})" in message for k in range(4)), message


def test_a_field_that_the_class_cannot_name_is_one_line(small_data, tmp_path):
    path, config = tmp_path / "mine.py", tmp_path / "config.yaml"
    path.write_text("from __future__ import annotations\n" + HEAD + "    x: Missing = 1\n")
    config.write_text(yaml.safe_dump(small_data(algorithm=f"{path}:Mine")))
    message = command("run", config, "--out", tmp_path / "runs").one_line()
    assert f"{path}:" in message and "Mine" in message and "'Missing' is not defined" in message


def test_a_tensor_under_two_names_is_stored_and_resumed(small_config, tmp_path):
    """A method may keep its weights of the round before: no copy is asked of it."""
    path = tmp_path / "mine.py"
    lines = hook(
        "server_update(self, weights, mean, server, cohort)",
        "server['before'] = server['first'] = weights",
        "return weights + mean['delta'] + 0 * server['before']",
    )
    path.write_text(HEAD + "    " + lines.replace("\n", "\n    ") + "\n")
    changes = {"algorithm": f"{path}:Mine", "centralized.budget": "none"}
    run(small_config({**changes, "rounds": 1}), tmp_path / "runs")
    extended = run(small_config(changes), tmp_path / "runs")
    whole = run(small_config(changes), tmp_path / "whole")
    assert [r["weights_sha256"] for r in extended.rounds] == [
        r["weights_sha256"] for r in whole.rounds
    ]
