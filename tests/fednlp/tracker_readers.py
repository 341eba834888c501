"""What the trackers' own libraries read in the stores that a run has left behind."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Points = dict[str, list[tuple[int, float]]]  # name -> (step, value), doubled points too


@dataclass(frozen=True)
class Shown:
    """One run of a tracker. finished: whether it is marked so; None where that is not stored."""

    name: str
    points: Points
    parameters: dict[str, Any]
    summary: dict[str, float]
    finished: bool | None


def shown(tracker: str, out: Path) -> list[Shown]:
    """All runs in the local store of a tracker, by name."""
    read = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}[tracker]
    return sorted(read(out / "trackers" / tracker), key=lambda run: run.name)


def _split(points: Points) -> tuple[Points, dict[str, float]]:
    """Rounds, and the last value of what is named `result/`."""
    rounds = {name: found for name, found in points.items() if not name.startswith("result/")}
    return rounds, {n: found[-1][1] for n, found in points.items() if n.startswith("result/")}


def _tensorboard(store: Path) -> list[Shown]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = []
    for folder in (path for path in store.iterdir() if path.is_dir()):
        reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        reader.Reload()
        points = {
            tag: [(event.step, event.value) for event in reader.Scalars(tag)]
            for tag in reader.Tags()["scalars"]
        }
        parameters = {}
        for metadata in reader.summary_metadata.values():
            data = HParamsPluginData.FromString(metadata.plugin_data.content)
            for name, value in data.session_start_info.hparams.items():
                parameters[name] = getattr(value, value.WhichOneof("kind"))
        found.append(Shown(folder.name, *_ordered(points, parameters), None))
    return found


def _ordered(points: Points, parameters: dict[str, Any]) -> tuple[Any, Any, Any]:
    rounds, summary = _split(points)
    return rounds, parameters, summary


def _wandb(store: Path) -> list[Shown]:
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for path in store.glob("offline-run-*/run-*.wandb"):
        points: Points = {}
        parameters, summary, name, code = {}, {}, "", None
        for data in _log_records(path.read_bytes()):
            record = Record.FromString(data)
            if record.HasField("run"):
                name = record.run.display_name
                parameters |= _items(record.run.config.update)
            parameters |= _items(record.config.update)
            summary |= _items(record.summary.update)
            if record.HasField("exit"):
                code = record.exit.exit_code
            row = _items(record.history.item)
            step = row.pop("_step", None)
            for key, value in row.items():
                if not key.startswith("_"):
                    points.setdefault(key, []).append((step, value))
        kept = {key: value for key, value in summary.items() if key.startswith("result/")}
        found.append(Shown(name, points, parameters, kept, None if code is None else code == 0))
    return found


def _log_records(data: bytes) -> Iterator[bytes]:
    """The records of a `.wandb` file, which is a log as LevelDB writes it; its reader is in Go.

    A header of seven bytes, then blocks of 32 KiB of chunks: checksum, length, kind, content.
    """
    assert data[:4] == b":W&B"
    place, parts = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:  # too short for a chunk
            place += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, place)
        if (length, kind) == (0, 0):  # the rest of a block
            place += left
            continue
        content = data[place + 7 : place + 7 + length]
        assert zlib.crc32(bytes([kind]) + content) == checksum
        parts += content
        place += 7 + length
        if kind in (1, 4):  # whole, last
            yield parts
            parts = b""


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _mlflow(store: Path) -> list[Shown]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    found = []
    experiment = client.get_experiment_by_name("fednlp-bench")
    for run in client.search_runs([experiment.experiment_id]):
        points = {
            name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        rounds, summary = _split(points)
        finished = run.info.status == "FINISHED"
        found.append(Shown(run.info.run_name, rounds, dict(run.data.params), summary, finished))
    return found
