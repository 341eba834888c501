"""Feeds the trackers of a run from its journal, once per committed round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fednlp.errors import one_line
from fednlp.results.schema import Result
from fednlp.trackers import choice
from fednlp.trackers.folder import references, told
from fednlp.trackers.ledger import Ledger
from fednlp.trackers.names import RoundMetrics, result_metrics
from fednlp.trackers.tracker import Tracker


@dataclass(frozen=True)
class _Fed:
    tracker: Tracker
    ledger: Ledger


class Feed:
    """The trackers of one run. One that fails is named in one warning, and fed no more.

    Without names it does nothing: that is a run without trackers.

    Args:
        names: of the trackers.
        path: the run folder.
        warn: is called with a line.
    """

    def __init__(
        self, names: Sequence[str] = (), path: Path = Path(), warn: Callable[[str], None] = print
    ) -> None:
        self._names, self._path, self._warn = tuple(dict.fromkeys(names)), path, warn
        self._fed: dict[str, _Fed] = {}
        self._metrics = RoundMetrics()
        self._sent = self._planned = 0  # rounds

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *exception: object) -> None:
        for name, fed in list(self._fed.items()):
            with self._guarded(name):
                fed.tracker.close()
                self._fed.pop(name).ledger.release()

    def begin(self, records: Sequence[Mapping[str, Any]], again: bool = True) -> None:
        """Opens the trackers for a run folder that holds these committed rounds.

        again: also those that show the run to its end, or a longer one.
        """
        if not self._names:
            return
        history = [self._metrics.of(record) for record in records]
        self._sent = len(records)
        for name in self._names:
            with self._guarded(name):
                run = told(self._path)
                self._planned = run.rounds
                ledger = Ledger(run.directory, name, run.key)
                if not again and ledger.shows(run.rounds):
                    continue
                ledger.hold()
                if ledger.rounds > run.rounds:
                    ledger.release()
                    self._warn(f"{name} shows a longer run of this trajectory: nothing is sent")
                    continue
                self._fed[name] = fed = _Fed(choice.make(name), ledger)
                ledger.write(run.rounds, finished=False)
                fed.tracker.begin(run, history)

    def rounds(self, records: Iterable[Mapping[str, Any]]) -> None:
        """The records that a commit has just made permanent."""
        if not self._fed:
            return
        for record in records:
            self._sent += 1
            metrics = self._metrics.of(record)
            for name, fed in list(self._fed.items()):
                with self._guarded(name):
                    fed.tracker.round(self._sent, metrics)

    def finish(self, result: Result) -> None:
        """The result of the run, which is on disk."""
        if not self._fed:
            return
        summary = result_metrics(result, references(self._path, result))
        for name, fed in list(self._fed.items()):
            with self._guarded(name):
                fed.tracker.finish(summary)
                fed.tracker.close()
                fed.ledger.write(self._planned, finished=True)
                self._fed.pop(name).ledger.release()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Whatever a tracker raises switches it off and is told in one line."""
        try:
            yield
        except Exception as error:
            told = one_line(error) or f"{type(error).__name__}: {error}"
            self._warn(f"{name} is off from here on ({' '.join(told.split())[:300]})")
            fed = self._fed.pop(name, None)
            if fed is not None:
                with suppress(Exception):
                    fed.tracker.close()
                fed.ledger.release()
