"""The conformance kit passes published methods and names what is wrong with broken ones."""

from __future__ import annotations

from itertools import islice
from textwrap import dedent

import pytest
from harness import command

from fednlp.conformance import check_method
from fednlp.errors import UserError

HOOKS = 5  # checks of single hooks; whole runs follow
PUBLISHED = ["fedavg", "scaffold_gradient", "ditto"]
CHECKS = {
    "server hooks give tensors",
    "client hooks give tensors",
    "personal gives weights or None",
    "server_update gives new weights",
    "identity: no learning, no change",
    "runs on text_classification",
    "runs on sequence_tagging",
    "runs on question_answering",
    "runs on seq2seq",
    "is deterministic",
    "resumes to the same bits",
    "bytes are accounted",
}


def write(folder, body, start="FedAvg"):
    path = folder / "mine.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from algorithms import FedAvg, FedProx\n\n\n"
        f"@dataclass(frozen=True)\nclass Mine({start}):\n" + dedent(body).replace("\n", "\n    ")
    )
    return f"{path}:Mine"


def failures(method, count=None):
    """Name -> detail of the failed checks among the first `count`."""
    outcomes = list(islice(check_method(method), count))
    assert all("\n" not in outcome.detail for outcome in outcomes)
    return {outcome.name: outcome.detail for outcome in outcomes if not outcome.passed}


@pytest.mark.parametrize("method", PUBLISHED)
def test_published_methods_pass(method):
    outcomes = list(check_method(method))
    assert [o for o in outcomes if not o.passed] == []
    assert {o.name for o in outcomes} == CHECKS


def test_the_method_of_the_command_line_passes(tmp_path):
    method = write(tmp_path, """
    step: float = 0.5
    def server_update(self, weights, mean, server, cohort):
        return weights + self.step * mean["delta"]
    """)  # fmt: skip
    answer = command("check", method)
    assert answer.code == 0, answer.out
    assert answer.out.count("ok") >= len(CHECKS) and "all checks passed" in answer.out


@pytest.mark.parametrize(
    ("body", "name", "detail"),
    [
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return weights.add_(mean["delta"])
    """,
            "server_update gives new weights",
            "server_update edits the weights in place",
        ),
        (
            """
    def local_update(self, client):
        start = client.received["weights"].clone()
        return {"delta": client.received["weights"].add_(0.1) - start}
    """,
            "client hooks give tensors",
            "a client hook edits the weights in place",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return (weights + mean["delta"])[:-1]
    """,
            "server_update gives new weights",
            "server_update gave a float32 tensor [",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return (weights + mean["delta"]).double()
    """,
            "server_update gives new weights",
            "server_update gave a float64 tensor [",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return weights + mean["delta"] / 0.0
    """,
            "server_update gives new weights",
            "server_update gave what is not finite",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return weights.clone()
    """,
            "server_update gives new weights",
            "leaves the weights unmoved",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return weights + mean["delta"] + 0.01
    """,
            "identity: no learning, no change",
            "move weights by 0.01",
        ),
        (
            """
    def local_update(self, client):
        raise RuntimeError("a bug\\nof two lines")
    """,
            "client hooks give tensors",
            "RuntimeError: a bug of two lines",
        ),
        (
            """
    def local_update(self, client):
        return {"delta": super().local_update(client)["delta"].tolist()}
    """,
            "client hooks give tensors",
            "local_update gave a dict whose 'delta' is list; expected a tensor",
        ),
        (
            """
    def local_update(self, client):
        return {}
    """,
            "client hooks give tensors",
            "uploads nothing",
        ),
        (
            """
    def correct(self, gradient, weights, client):
        return gradient.mul_(2)
    """,
            "client hooks give tensors",
            "correct edits the gradient in place",
        ),
        (
            """
    def correct(self, gradient, weights, client):
        return gradient.norm()
    """,
            "client hooks give tensors",
            "correct gave a float32 tensor []; expected a float32 tensor [",
        ),
        (
            """
    def init_client(self, weights):
        return [weights]
    """,
            "server hooks give tensors",
            "init_client gave list; expected a dict of tensors",
        ),
        (
            """
    def download(self, weights, server):
        return {"model": weights}
    """,
            "server hooks give tensors",
            "no tensor named 'weights'",
        ),
        (
            """
    def weight(self, examples):
        return 0.0
    """,
            "server hooks give tensors",
            "weight(7) is not positive",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return weights - mean["delta"]
    """,
            "server_update gives new weights",
            "moves away from what its clients learned",
        ),
        (
            """
    def personal(self, weights, state):
        raise RuntimeError("a bug")
    """,
            "personal gives weights or None",
            "RuntimeError: a bug",
        ),
        (
            """
    def personal(self, weights, state):
        return weights[:-1]
    """,
            "personal gives weights or None",
            "personal gave a float32 tensor [",
        ),
        (
            """
    def personal(self, weights, state):
        return weights / 0.0 if state else None
    def init_client(self, weights):
        return {"seen": torch.zeros(1)}
    """,
            "personal gives weights or None",
            "personal gave what is not finite",
        ),
        (
            """
    def init_server(self, weights, layout):
        return {"control": torch.zeros_like(weights)}
    def server_update(self, weights, mean, server, cohort):
        server["control"].add_(mean["delta"])
        return weights + server["control"]
    """,
            "server_update gives new weights",
            "server_update edits server['control'] in place",
        ),
        (
            """
    def server_update(self, weights, mean, server, cohort):
        return mean["delta"].add_(weights)
    """,
            "server_update gives new weights",
            "server_update edits mean['delta'] in place",
        ),
        (
            """
    def download(self, weights, server):
        return {"weights": weights, "c": torch.ones(3)}
    def local_update(self, client):
        client.received["c"].mul_(2)
        return super().local_update(client)
    """,
            "client hooks give tensors",
            "a client hook edits received['c'] in place",
        ),
        (
            """
    def init_client(self, weights):
        return {"sum": torch.zeros_like(weights)}
    def correct(self, gradient, weights, client):
        return gradient + client.state["sum"].add_(gradient)
    """,
            "client hooks give tensors",
            "correct edits state['sum'] in place",
        ),
        (
            """
    def correct(self, gradient, weights, client):
        norm = gradient.norm().item()
        return gradient / norm if norm > 1 else gradient
    """,
            "client hooks give tensors",
            "correct does not run for several clients at once: vmap: It looks like you're calling",
        ),
        (
            """
    def correct(self, gradient, weights, client):
        return gradient * 2 if gradient.sum() > 1 else gradient
    """,
            "client hooks give tensors",
            "for several clients at once: vmap: It looks like you're attempting",
        ),
    ],
    ids=lambda value: value.strip()[:40] if "def " not in value else "",
)
def test_a_broken_hook_is_named(body, name, detail, tmp_path):
    found = failures(write(tmp_path, body), HOOKS)
    assert name in found and detail in found[name], found


def test_noise_and_sums_in_the_correction_are_no_fault(tmp_path):
    """A client's generator, and a sum over the steps in its state, run for several clients too."""
    method = write(tmp_path, """
    def init_client(self, weights):
        return {"sum": torch.zeros_like(weights)}
    def correct(self, gradient, weights, client):
        client.state["sum"] = client.state["sum"] + gradient
        return gradient + 0.01 * torch.randn(gradient.shape, generator=client.generator)
    """)  # fmt: skip
    assert failures(method, HOOKS) == {}


def test_a_method_that_refuses_sgd_is_checked_with_adamw(tmp_path):
    method = write(tmp_path, """
    def check(self, optimizer):
        from algorithms.errors import AlgorithmError
        if optimizer.name != "adamw":
            raise AlgorithmError("client.optimizer", optimizer.name, "adamw")
    """)  # fmt: skip
    assert failures(method) == {}
    method = write(tmp_path, """
    def check(self, optimizer):
        from algorithms.errors import AlgorithmError
        raise AlgorithmError("client.optimizer", optimizer.name, "none of them")
    """)  # fmt: skip
    with pytest.raises(ValueError, match="sgd; expected none of them"):
        next(check_method(method))


def test_memory_outside_the_state_is_found_when_a_run_continues(tmp_path):
    """Momentum kept on the object: a process that starts in the middle does not know it."""
    method = write(tmp_path, """
    def server_update(self, weights, mean, server, cohort):
        kept = getattr(self, "kept", torch.zeros_like(weights))
        object.__setattr__(self, "kept", 0.9 * kept + mean["delta"])
        return weights + self.kept
    """)  # fmt: skip
    found = failures(method)
    assert "something is kept outside" in found.pop("resumes to the same bits")
    assert "is deterministic" not in found


def test_memory_of_the_class_is_found_when_a_run_continues(tmp_path):
    method = write(tmp_path, """
    kept = []
    def server_update(self, weights, mean, server, cohort):
        self.kept.append(1)
        return weights + mean["delta"] / len(self.kept)
    """)  # fmt: skip
    assert "something is kept outside" in failures(method)["resumes to the same bits"]


def test_global_randomness_is_found(tmp_path):
    method = write(tmp_path, """
    def server_update(self, weights, mean, server, cohort):
        return weights + mean["delta"] * (1 + torch.rand(()))
    """)  # fmt: skip
    assert "differs from round 1 on" in failures(method)["is deterministic"]


def test_a_payload_that_grows_is_found(tmp_path):
    method = write(tmp_path, """
    def local_update(self, client):
        payload = super().local_update(client)
        return {**payload, **{f"more {i}": torch.zeros(3) for i in range(client.round)}}
    """)  # fmt: skip
    assert "bytes_up of a round is" in failures(method)["bytes are accounted"]


def test_every_check_is_told_though_one_fails(tmp_path):
    method = write(tmp_path, """
    def server_update(self, weights, mean, server, cohort):
        raise RuntimeError("boom")
    """)  # fmt: skip
    answer = command("check", method)
    assert answer.code == 1 and answer.err == ""
    lines = [line for line in answer.out.splitlines() if line.startswith(("ok", "fails"))]
    assert len(lines) == len(CHECKS)
    assert "RuntimeError: boom" in answer.out and "checks failed" in answer.out


def test_a_method_that_cannot_be_loaded_stops_at_once(tmp_path):
    with pytest.raises(UserError, match="unknown algorithm"):
        next(check_method("fedavgg"))
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="'Mine' is not an algorithm"):
        next(check_method(f"{tmp_path / 'mine.py'}:Mine"))
