"""TensorBoard: one event file per run, under `trackers/tensorboard/`.

    tensorboard --logdir runs/trackers/tensorboard

The file is written anew whenever a run continues, so that it holds each committed round once. It is
written here and now, not by TensorBoard's own background thread, which would wait without end for
a disk that is full.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fednlp.trackers.tracker import Metrics, Told


class TensorBoard:
    """Scalars by round; parameters and result for the HParams page."""

    def __init__(self) -> None:
        self._stream: IO[bytes] | None = None

    def begin(self, run: Told, history: Sequence[Metrics]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard.summary import hparams

        self._last, self._parameters = 0, {**run.tags, **run.parameters}
        folder = run.directory / "tensorboard" / f"{run.name}-{run.key}"
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob("events.out.tfevents.*"))
        self._stream = _fresh(folder)
        self._records = RecordWriter(self._stream)
        self._write(file_version="brain.Event:2")
        self._write(step=0, session_log=_start())  # a reader that runs forgets the earlier files
        for path in earlier:
            path.unlink()
        _, parameters, _ = hparams(self._parameters, {})
        self._write(summary=parameters)
        for number, metrics in enumerate(history, start=1):
            self._scalars(number, metrics)
        self._flush()

    def round(self, number: int, metrics: Metrics) -> None:
        self._scalars(number, metrics)
        self._flush()

    def finish(self, summary: Metrics) -> None:
        from torch.utils.tensorboard.summary import hparams

        columns, _, end = hparams(self._parameters, dict(summary))
        for part in (columns, end):
            self._write(step=self._last, summary=part)
        self._scalars(self._last, summary)
        self._flush()

    def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()

    def _scalars(self, number: int, metrics: Metrics) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._last = number
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self._write(step=number, summary=Summary(value=values))

    def _write(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())

    def _flush(self) -> None:
        assert self._stream is not None
        self._stream.flush()


def _fresh(folder: Path) -> IO[bytes]:
    """A new event file, whose name sorts behind those that are there."""
    stamp = f"{time.time_ns() / 1e9:.6f}.{socket.gethostname()}.{os.getpid()}"
    return open(folder / f"events.out.tfevents.{stamp}", "xb")


def _start() -> Any:
    from tensorboard.compat.proto.event_pb2 import SessionLog

    return SessionLog(status=SessionLog.START)
