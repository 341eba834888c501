"""Dicts of tensors in a shared file: values, types, growth, one copy of an alias."""

from __future__ import annotations

import pickle

import pytest
import torch

from fednlp.engines.shared_tensors import SharedTensors


@pytest.fixture
def ends(tmp_path):
    """Both ends of a file that has lost its name."""
    path = tmp_path / "shared"
    writer, reader = SharedTensors(path, create=True), SharedTensors(path)
    path.unlink()
    yield writer, reader
    writer.close()
    reader.close()


def carried(ends, tensors):
    places = pickle.loads(pickle.dumps(ends[0].put(tensors)))
    return ends[1].get(places)


def assert_equal(read, put):
    assert list(read) == list(put)
    for name, tensor in put.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape
        assert torch.equal(read[name], tensor.contiguous())


def test_every_kind_of_tensor(ends):
    tensors = {
        "floats": torch.randn(3, 5),
        "bits": torch.tensor([True, False, True]),
        "half": torch.randn(7).to(torch.bfloat16),
        "integers": torch.arange(-3, 3),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "doubles": torch.randn(2, dtype=torch.float64),
        "complex": torch.randn(2, dtype=torch.complex64),
        "number": torch.tensor(2.5),
        "nothing": torch.zeros(0, 4),
        "strided": torch.randn(4, 6).t()[::2],
        "needs grad": torch.randn(3, requires_grad=True),
    }
    assert_equal(carried(ends, tensors), tensors)
    assert carried(ends, {}) == {}


def test_growth_and_views(ends):
    small, large = {"x": torch.arange(3.0)}, {"x": torch.randn(100_000), "y": torch.ones(9)}
    view = carried(ends, small)["x"]
    assert_equal(carried(ends, large), large)
    assert_equal(carried(ends, small), small)
    assert view.tolist() == [0.0, 1.0, 2.0]  # an old view is of the same memory
    carried(ends, {"x": torch.tensor([7.0])})
    assert view[0] == 7.0


def test_an_alias_is_stored_once(ends):
    tensor = torch.randn(10)
    places = ends[0].put({"a": tensor, "b": tensor, "c": tensor.clone()})
    assert places["a"] == places["b"] != places["c"]
    read = ends[1].get(places)
    assert all(torch.equal(read[name], tensor) for name in "abc")


def test_what_is_read_is_what_was_written_not_what_it_became(ends):
    tensor = torch.zeros(3)
    read = carried(ends, {"x": tensor})["x"]
    tensor += 1
    assert read.tolist() == [0.0, 0.0, 0.0]
