"""Compiled local training, mostly with a compiler that takes no time."""

import json
from functools import partial

import pytest
import torch
from harness import command
from step_cases import trained, trainer_of

from fednlp import compiled, local_training
from fednlp.compiled import CompiledModule
from fednlp.experiment import Experiment
from tasks import TASKS

OTHERS = [task for task in TASKS if task != "text_classification"]


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def ends(task, backend, **options):
    """Weights after plain and after compiled training, and what they began with."""
    plain, start = trainer_of(task, **options)
    trained(plain, start)
    compiled, _ = trainer_of(task, **options)
    compiled.module = CompiledModule(compiled.model.module, backend)
    trained(compiled, start)
    return plain.model.weights, compiled.model.weights, start


def assert_close(plain, compiled, start):
    moved = float((plain - start).norm())
    assert moved > 0 and float((plain - compiled).norm()) <= 1e-4 * moved


@pytest.mark.parametrize(
    "task", ["text_classification", *(pytest.param(t, marks=pytest.mark.long) for t in OTHERS)]
)
def test_trains_the_same(task):
    assert_close(*ends(task, "aot_eager", optimizer="sgd", lr=0.1))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"frozen": 1}, "static"),
        pytest.param({"frozen": 1}, "plain", marks=pytest.mark.long),
        ({"lora": True}, "plain"),
        pytest.param({"lora": True}, "static", marks=pytest.mark.long),
    ],
    ids=str,
)
def test_trains_parts_of_a_model_the_same(steps, options):
    assert_close(*ends("text_classification", "aot_eager", steps=steps, **options))


def test_compiles_once_for_all_lengths():
    shapes = []

    def backend(graph, inputs):
        def run(*arguments):
            shapes.append(tuple(a.shape for a in arguments if isinstance(a, torch.Tensor)))
            return graph(*arguments)

        compiled.append(graph)
        return run

    compiled: list = []
    assert_close(*ends("sequence_tagging", backend, optimizer="sgd", lr=0.1))
    assert len(set(shapes)) > 5
    assert len(compiled) <= 2  # a batch of one row may be a shape of its own


def test_a_compiler_that_fails_is_one_line_and_the_run_goes_on_without_when_asked(
    small_config, tmp_path, monkeypatch
):
    def broken(graph, inputs):
        raise RuntimeError("no compiler here\nand a long story")

    path = tmp_path / "run.yaml"
    path.write_text(small_config({"engine.compile": True, "engine.workers": 1}).model_dump_json())
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "CompiledModule", partial(CompiledModule, backend=broken))
        patch.setattr(local_training, "CompiledModule", compiled.CompiledModule)
        answer = command("run", path, "--out", tmp_path / "runs")
    assert answer.code == 2 and len(answer.err.splitlines()) == 1
    assert "engine.compile: the model cannot be compiled (RuntimeError: no compiler" in answer.err
    assert command("run", path, "engine.compile=false", "--out", tmp_path / "runs").code == 0
    for folder in (tmp_path / "runs").glob("*/environment.json"):
        assert not any(part["compile"] for part in json.loads(folder.read_text()))


def test_the_key_reaches_the_trainer(small_config):
    parts = Experiment(small_config({"engine.compile": True}))
    assert isinstance(parts.trainer().module, CompiledModule)
    assert not parts.uses_own_kernels
    assert not isinstance(Experiment(small_config()).trainer().module, CompiledModule)


@pytest.mark.long
def test_torchs_own_compiler_trains_the_same():
    assert_close(*ends("text_classification", "inductor", optimizer="sgd", lr=0.1))
