"""Edits of a finished run by somebody who also makes every checksum new again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from fednlp.conclusion import sums
from fednlp.results.schema import Result
from fednlp.verification.verify import Report, verify_run

MANIFEST = "checkpoints/manifest.json"


def copied_runs(source: Path, target: Path) -> Path:
    """A copy of a directory of runs; the federated folder in it."""
    shutil.copytree(source, target)
    return federated_folder(target)


def federated_folder(directory: Path) -> Path:
    return next(p for p in sorted(directory.iterdir()) if "centralized" not in p.name)


def centralized_folder(directory: Path) -> Path:
    return next(p for p in sorted(directory.iterdir()) if "centralized" in p.name)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """`change` edits the JSON value in place, or returns another."""
    value = json.loads(path.read_text())
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed, indent=1) + "\n")


def edit_rounds(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / "rounds.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(records)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def renew(folder: Path) -> Path:
    """All checksums, as if what is there now had been written by the program."""
    data = (folder / "rounds.jsonl").read_bytes()
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest |= {"log_bytes": len(data), "log_sha256": hashlib.sha256(data).hexdigest()}
    for name in manifest["sha256"]:
        if (folder / name).exists():
            manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    result = json.loads((folder / "result.json").read_text())
    result["files"] = sums(folder)
    (folder / "result.json").write_bytes(Result.model_validate(result).as_json())
    return folder


def without_weights(folder: Path) -> Path:
    """As in a submission."""
    shutil.rmtree(folder / "clients")
    for path in (folder / "checkpoints").glob("*.safetensors"):
        path.unlink()
    return folder


def forge_test_scores(folder: Path, right: bool) -> Path:
    """Every prediction of a classification is right, or every one wrong, and all scores follow."""
    table = pd.read_parquet(folder / "predictions.parquet")
    score, classes = float(right), int(table["selected_gold"].max()) + 1
    for name in ("selected", "last"):
        gold = table[f"{name}_gold"]
        predicted = gold if right else (gold + 1) % classes
        table[f"{name}_predicted"], table[f"{name}_accuracy"] = predicted, score
        table[f"{name}_prediction"] = [json.dumps(int(label)) for label in predicted]
    table.to_parquet(folder / "predictions.parquet", index=False)

    def forge(result: dict[str, Any]) -> None:
        for name in ("selected", "last"):
            result[name] |= {"test": {"accuracy": score, "macro_f1": score}, "test_stderr": 0.0}
        if result["clients"]:
            result["clients"] |= {"mean": score, "std": 0.0, "worst_decile": score}

    edit(folder / "result.json", forge)
    if (folder / "clients.csv").exists():
        clients = pd.read_csv(folder / "clients.csv")
        clients.loc[clients["score"].notna(), "score"] = score
        clients.to_csv(folder / "clients.csv", index=False)
    return renew(folder)


def report_of(folder: Path, rounds: int | None = 0, seed: int = 0, **options: Any) -> Report:
    return verify_run(folder, rounds, seed, **options)


def failures(report: Report) -> dict[str, str]:
    return {c.name: c.detail for c in report.every if c.failed}


def not_possible(report: Report) -> dict[str, str]:
    return {c.name: c.detail for c in report.every if c.outcome == "not possible"}
