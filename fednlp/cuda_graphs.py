"""Work recorded as CUDA graphs: a GPU replays hundreds of kernels for one launch.

Whatever is recorded must do the same to the same memory each time. The first times it runs as
usual, which warms up what torch makes lazily and shows whether it waits for the GPU anywhere; work
that does cannot be recorded. One pool of memory serves all graphs: they leave nothing behind in it
and are replayed one after another.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch

from fednlp.random_streams import default_generator

WARM_UP = 2  # runs of a piece of work before it is recorded
MOST = 128  # graphs; each keeps some megabytes of the driver's

Work = Callable[[], None]


class Recorder:
    """Records on one GPU. All recorded work runs within `active`, on a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._generator = default_generator(device)

    @contextmanager
    def active(self) -> Iterator[None]:
        """The stream on which graphs are recorded, in order with the caller's."""
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """A replay of `work`, which itself is not run."""
        graph = torch.cuda.CUDAGraph()
        collecting = gc.isenabled()
        gc.disable()  # to free a tensor or a graph would break the recording
        drawing = self._generator.clone_state()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                work()
        except BaseException:
            # The generator's own state would wait for ever for the end of the recording.
            self._generator.graphsafe_set_state(drawing)
            raise
        finally:
            if collecting:
                gc.enable()
        return graph.replay

    def waits(self, work: Work) -> str:
        """Runs `work`; where it waited for the GPU, "" for nowhere."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                work()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        found = ""
        for warning in caught:
            if "synchronizing CUDA operation" in str(warning.message):
                found = found or f"it waits for the GPU ({warning.filename}:{warning.lineno})"
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        return found


class Graphs:
    """Pieces of work by a key; each always does the same to the same memory.

    recorder: None runs all of it as usual.
    """

    def __init__(self, recorder: Recorder | None, most: int = MOST) -> None:
        self._recorder, self._most = recorder, most
        self._replays: dict[Hashable, Work] = {}
        self._runs: Counter[Hashable] = Counter()
        self._full = False

    def __len__(self) -> int:
        return len(self._replays)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Where `run` is called."""
        if self._recorder is None:
            yield
        else:
            with self._recorder.active():
                yield

    def run(self, key: Hashable, work: Work) -> None:
        """Does the work of `key`, by a replay as soon as there is one."""
        recorder = self._recorder
        if recorder is None:
            work()
            return
        if key not in self._replays:
            self._runs[key] += 1
            if self._runs[key] < WARM_UP:
                work()
                return
            if len(self._replays) >= self._most:
                self._say_full()
                work()
                return
            if self._runs[key] == WARM_UP:
                self._give_up(recorder.waits(work))
                return
            try:
                self._replays[key] = recorder.record(work)
            except Exception as error:  # of the driver, of an allocator, of a kernel's own
                lines = str(error).splitlines() or [type(error).__name__]
                self._give_up(lines[0])
                work()
                return
        self._replays[key]()

    def _say_full(self) -> None:
        if not self._full:
            self._full = True
            logging.getLogger(__name__).warning(
                "engine.graphs: %d shapes of batches are recorded, the most that are; steps of "
                "other shapes run as usual",
                self._most,
            )

    def _give_up(self, reason: str) -> None:
        """What holds for one shape holds for all: from now on everything runs as usual."""
        if reason:
            self._recorder = None
            self._replays.clear()
            logging.getLogger(__name__).warning(
                "engine.graphs: steps cannot be recorded (%s); the run goes on without", reason
            )
