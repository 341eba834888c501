"""Compiled local training, mostly with a compiler that takes no time."""

import logging

import pytest
import torch
from step_cases import trained, trainer_of

from fednlp.compiled import CompiledModule
from fednlp.experiment import Experiment
from tasks import TASKS


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


@pytest.mark.parametrize("task", list(TASKS))
def test_trains_the_same(task):
    assert_close(*ends(task, "aot_eager", optimizer="sgd", lr=0.1))


@pytest.mark.parametrize("steps", ["plain", "static"])
@pytest.mark.parametrize("options", [{"frozen": 1}, {"lora": True}], ids=str)
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


def test_a_compiler_that_fails_is_done_without_and_says_so_once(caplog):
    def broken(graph, inputs):
        raise RuntimeError("no compiler here\nand a long story")

    with caplog.at_level(logging.WARNING, logger="fednlp"):
        plain, compiled, start = ends("text_classification", broken, dropout=0.1)
    assert torch.equal(plain, compiled) and not torch.equal(plain, start)
    (record,) = [r for r in caplog.records if r.name.startswith("fednlp")]
    assert record.getMessage().startswith("engine.compile: the model cannot be compiled")


def test_the_key_reaches_the_trainer(small_config):
    parts = Experiment(small_config({"engine.compile": True}))
    assert isinstance(parts.trainer().module, CompiledModule)
    assert not parts.uses_own_kernels
    assert not isinstance(Experiment(small_config()).trainer().module, CompiledModule)


@pytest.mark.long
def test_torchs_own_compiler_trains_the_same():
    assert_close(*ends("text_classification", "inductor", optimizer="sgd", lr=0.1))
