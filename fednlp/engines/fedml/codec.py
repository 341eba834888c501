"""What crosses the wire: a length-checked header and tensors as safetensors; never a pickle.

    b"FNLP" | version: 1 byte | bytes of the header: u32 | bytes of the tensors: u64, big endian
    header: a JSON object, UTF-8
    tensors: safetensors

A frame is refused, with the reason, before anything of it is believed: another magic or version,
lengths that are not those of the frame, a frame above the limit, a header that is no flat object of
plain values, tensors that safetensors does not accept.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import safetensors
import safetensors.torch
import torch

from algorithms.algorithm import State
from fednlp.results.files import tensor_bytes

MAGIC, VERSION = b"FNLP", 1
_PREFIX = struct.Struct(">4sBIQ")
PREFIX_BYTES = _PREFIX.size
HEADER_BYTES = 1 << 20  # most that a header may have

Fields = dict[str, Any]


class BadFrame(ValueError):
    """A frame that is not one of ours; the reason in words."""


def encode(fields: Fields, tensors: State | None = None) -> bytes:
    """A frame.

    fields: plain values that JSON can hold. tensors: of any device; they are sent as they are,
    dtype and shape included.
    """
    header = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    content = tensor_bytes(tensors or {})
    return b"".join([_PREFIX.pack(MAGIC, VERSION, len(header), len(content)), header, content])


def frame_bytes(start: bytes, most: int) -> int:
    """How long the frame is that begins with `start`, of at least PREFIX_BYTES bytes.

    Raises:
        BadFrame: it is none, or longer than `most` bytes.
    """
    if len(start) < PREFIX_BYTES:
        raise BadFrame(f"a frame of {len(start)} bytes has no prefix")
    magic, version, header, content = _PREFIX.unpack(start[:PREFIX_BYTES])
    if magic != MAGIC:
        raise BadFrame("not a frame of this program")
    if version != VERSION:
        raise BadFrame(f"a frame of version {version}, not {VERSION}")
    if header > HEADER_BYTES:
        raise BadFrame(f"a header of {header} bytes, above {HEADER_BYTES}")
    whole = PREFIX_BYTES + header + content
    if whole > most:
        raise BadFrame(f"a message of {whole} bytes, above the limit of {most}")
    return whole


def decode(frame: bytes | bytearray, most: int) -> tuple[Fields, State]:
    """The fields and the tensors, on the CPU and in memory of their own.

    most: bytes that a frame may have.

    Raises:
        BadFrame: anything but a frame that `encode` could have made.
    """
    whole = frame_bytes(bytes(frame[:PREFIX_BYTES]), most)
    if whole != len(frame):
        raise BadFrame(f"a frame of {len(frame)} bytes that says {whole}")
    _, _, header, _ = _PREFIX.unpack(frame[:PREFIX_BYTES])
    end = PREFIX_BYTES + header
    fields = _fields(bytes(frame[PREFIX_BYTES:end]))
    try:
        tensors = safetensors.torch.load(bytes(memoryview(frame)[end:]))
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadFrame(f"tensors that are not readable ({_short(error)})") from None
    return fields, tensors


def mismatch(tensors: State, like: dict[str, tuple[torch.dtype, tuple[int, ...]]]) -> str | None:
    """How tensors differ in name, type or shape from what is expected; None if they do not."""
    if tensors.keys() != like.keys():
        return f"has {_names(tensors)} instead of {_names(like)}"
    for name, (dtype, shape) in like.items():
        found = tensors[name]
        if found.dtype != dtype or tuple(found.shape) != shape:
            kind = f"{_kind(found.dtype)} {list(found.shape)}"
            return f"has '{name}' as {kind} instead of {_kind(dtype)} {list(shape)}"
    return None


def _fields(header: bytes) -> Fields:
    try:
        fields = json.loads(header, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a header that is not readable ({_short(error)})") from None
    if not isinstance(fields, dict):
        raise BadFrame("a header that is no object")
    return fields


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _names(tensors: Any) -> str:
    return ", ".join(f"'{name:.40}'" for name in sorted(tensors)[:5]) or "no tensor"


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
