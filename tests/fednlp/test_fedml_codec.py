"""The wire's codec: what is sent comes back; whatever is not a frame is refused with a reason."""

from __future__ import annotations

import pickle

import pytest
import torch
from fuzzing import times
from hypothesis import given, settings
from hypothesis import strategies as st

from fednlp.engines.fedml.codec import (
    HEADER_BYTES,
    PREFIX_BYTES,
    BadFrame,
    decode,
    encode,
    frame_bytes,
    mismatch,
)

MOST = 1 << 20
TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
names = st.text(min_size=1, max_size=8).filter(lambda n: n != "__metadata__" and n.isprintable())
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = plain | st.floats(allow_nan=False, allow_infinity=False) | st.lists(plain, max_size=3)
shapes = st.lists(st.integers(0, 4), max_size=3)


@st.composite
def tensors(draw):
    made = {}
    for name in draw(st.sets(names, max_size=4)):
        dtype, shape = draw(st.sampled_from(TYPES)), draw(shapes)
        made[name] = torch.randint(0, 2, shape).to(dtype)
    return made


@settings(deadline=None, max_examples=times(100))
@given(st.dictionaries(names, values, max_size=4), tensors())
def test_what_is_sent_comes_back(fields, sent):
    frame = encode(fields, sent)
    assert frame_bytes(frame, len(frame)) == len(frame)
    found, state = decode(bytearray(frame), len(frame))
    assert found == fields and state.keys() == sent.keys()
    for name, tensor in sent.items():
        assert state[name].dtype == tensor.dtype and torch.equal(state[name], tensor)


def test_special_floats_and_shared_and_strided_tensors_keep_their_bits():
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    grid = torch.arange(12.0).view(3, 4)
    sent = {"odd": odd, "same": odd, "column": grid[:, 1], "row": grid[1]}
    _, found = decode(encode({}, sent), MOST)
    for name, tensor in sent.items():
        assert torch.equal(found[name].view(torch.int32), tensor.contiguous().view(torch.int32))
    found["odd"].zero_()
    assert torch.equal(found["row"], grid[1])  # memory of their own


@settings(deadline=None, max_examples=times(200))
@given(st.data())
def test_a_damaged_frame_is_refused_or_is_a_frame(data):
    """Whatever is cut off, added or changed: a BadFrame or a readable frame, nothing else."""
    frame = bytearray(encode({"kind": "answer", "round": 3}, {"delta": torch.ones(5)}))
    how = data.draw(st.sampled_from(["cut", "more", "flip"]))
    if how == "cut":
        frame = frame[: data.draw(st.integers(0, len(frame) - 1))]
    elif how == "more":
        frame += data.draw(st.binary(min_size=1, max_size=9))
    else:
        place = data.draw(st.integers(0, len(frame) - 1))
        frame[place] ^= data.draw(st.integers(1, 255))
    try:
        fields, state = decode(frame, MOST)
    except BadFrame as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert how == "flip" and isinstance(fields, dict) and isinstance(state, dict)


@settings(deadline=None, max_examples=times(100))
@given(st.binary(max_size=64))
def test_noise_is_refused(noise):
    with pytest.raises(BadFrame):
        decode(noise, MOST)


def test_every_reason_is_named():
    frame = encode({"kind": "answer"}, {"delta": torch.ones(3)})
    cases = {
        "no prefix": frame[: PREFIX_BYTES - 1],
        "not a frame of this program": pickle.dumps({"a": 1}) + bytes(32),
        "version 7": frame[:4] + b"\x07" + frame[5:],
        "that says": frame[:-1],
        "a header of": frame[:5] + (HEADER_BYTES + 1).to_bytes(4, "big") + frame[9:],
        "header that is not readable": frame.replace(b'{"kind', b"{'kind"),
        "NaN is no number": frame.replace(b'"answer"', b"NaN     "),
        "tensors that are not readable": frame.replace(b'"F32"', b'"F99"'),
    }
    for reason, bad in cases.items():
        with pytest.raises(BadFrame, match=reason):
            decode(bad, MOST)
    with pytest.raises(BadFrame, match=f"{len(frame)} bytes, above the limit of {len(frame) - 1}"):
        decode(frame, len(frame) - 1)
    listed = encode({})
    no_object = listed[:5] + b"\x00\x00\x00\x02" + listed[9:PREFIX_BYTES] + b"[]"
    with pytest.raises(BadFrame, match="no object"):
        decode(no_object + listed[PREFIX_BYTES + 2 :], MOST)


def test_names_types_and_shapes_are_compared():
    like = {"delta": (torch.float32, (3,))}
    assert mismatch({"delta": torch.ones(3)}, like) is None
    assert "float32 [2] instead of float32 [3]" in str(mismatch({"delta": torch.ones(2)}, like))
    assert "float64" in str(mismatch({"delta": torch.ones(3).double()}, like))
    assert "'control', 'delta'" in str(mismatch({"delta": torch.ones(3), "control": 1}, like))
    assert "no tensor instead of 'delta'" in str(mismatch({}, like))
