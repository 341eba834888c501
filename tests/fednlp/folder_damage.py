"""Seeded damage to the files of a run folder: what disks, editors and other programs do to them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any


def damage(path: Path, rng: random.Random) -> str:
    """Damages one file in place; says how."""
    kinds = ["truncate", "flip", "flips", "delete", "directory", "empty", "garbage", "link"]
    kind = rng.choice(kinds + ["json"] * 4 if path.suffix in (".json", ".jsonl") else kinds)
    data = path.read_bytes()
    path.unlink()
    if kind == "truncate":
        path.write_bytes(data[: rng.randrange(len(data))] if data else b"")
    elif kind in ("flip", "flips"):
        changed = bytearray(data or b"x")
        for _ in range(1 if kind == "flip" else rng.randint(2, 40)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
    elif kind == "directory":
        path.mkdir()
        if rng.random() < 0.5:
            (path / "x").write_text("x")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(rng.randbytes(rng.choice([1, 8, 300])))
    elif kind == "link":
        path.symlink_to(rng.choice(["/nowhere", path.name, "/dev/null", "."]))
    elif kind == "json":
        path.write_text(_other_json(data, rng))
    return kind


def _other_json(data: bytes, rng: random.Random) -> str:
    """The same JSON with one value replaced, removed or added; of lines, in one line."""
    lines = data.decode().splitlines()
    whole = len(lines) == 1 or not _is_json(lines[0])
    number = 0 if whole else rng.randrange(len(lines))
    value = json.loads(data.decode() if whole else lines[number])
    spots: list[tuple[Any, Any]] = []
    _collect(value, spots)
    if not spots:
        value = _random_value(rng)
    else:
        holder, key = rng.choice(spots)
        action = rng.random()
        if action < 0.2:
            del holder[key]
        elif action < 0.3 and isinstance(holder, dict):
            holder["unknown"] = _random_value(rng)
        else:
            holder[key] = _random_value(rng)
    text = json.dumps(value)
    if whole:
        return text
    return "".join(f"{line}\n" for line in [*lines[:number], text, *lines[number + 1 :]])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _collect(value: Any, spots: list[tuple[Any, Any]]) -> None:
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in pairs:
        spots.append((value, key))
        if isinstance(inner, dict | list):
            _collect(inner, spots)


def _random_value(rng: random.Random) -> Any:
    values = [None, True, 0, -1, 10**30, 0.5, 1e308, float("nan"), float("inf"), "", "x", "0" * 64]
    return rng.choice([*values, [], {}, [1], {"a": 1}, ["a", None], "../../etc", "\ud800", "$x_$"])


def files_of(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def copied(source: Path, target: Path) -> Path:
    """A fresh copy of a directory of run folders."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
