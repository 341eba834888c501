"""What a server and its silos must agree on before the first round, and how they disagree."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fednlp.experiment import Experiment
from fednlp.identity import Identity

_ROOT = Path(__file__).resolve().parents[3]
_OURS = ("algorithms", "fednlp", "partitioners", "tasks")
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")
_LONG = 100  # characters of a value; longer ones are told by their hash
_SHOWN = 4  # differences

Facts = dict[str, str]


def facts(experiment: Experiment, identity: Identity) -> Facts:
    """All that the run's id is made of, by dotted name, the versions of code and libraries, and
    what a message may have: whoever sends a longer one must know."""
    found: Facts = {"rounds": str(identity.rounds)}
    found["engine.message_limit"] = str(experiment.config.engine.message_limit)
    _flatten("", {**identity.content, **identity.conclusion}, found)
    found |= {package: version(package) for package in _PACKAGES}
    return {**found, "code of this program": code_hash(), "device": experiment.device.type}


def differences(theirs: Facts, ours: Facts) -> list[str]:
    """A few words for each fact that is not the same, the most telling first."""
    names = sorted(theirs.keys() | ours.keys(), key=lambda n: (_is_hash(ours.get(n, "")), n))
    told = [
        f"{name} is {_shown(theirs.get(name))} there and {_shown(ours.get(name))} here"
        for name in names
        if theirs.get(name) != ours.get(name)
    ]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return told[:_SHOWN] + more


@lru_cache(maxsize=1)
def code_hash() -> str:
    """SHA-256 of our packages' sources."""
    whole = hashlib.sha256()
    for package in _OURS:
        for path in sorted((_ROOT / package).rglob("*.py")):
            whole.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _flatten(place: str, value: Any, found: Facts) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{place}.{name}" if place else str(name), inner, found)
        return
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    found[place] = text if len(text) <= _LONG else hashlib.sha256(text.encode()).hexdigest()


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _shown(text: str | None) -> str:
    if text is None:
        return "nothing"
    return f"{text[:12]}..." if _is_hash(text) else text
