"""A recorder without a GPU, for tests of what is recorded."""

from contextlib import nullcontext


class FakeRecorder:
    """Replays by running the work; `fails` and `waiting` are what the tests wish for."""

    def __init__(self, fails=False, waiting=""):
        self.fails, self.waiting, self.recorded = fails, waiting, []

    def active(self):
        return nullcontext()

    def waits(self, work):
        work()
        return self.waiting

    def record(self, work):
        if self.fails:
            raise RuntimeError("no room\nfor a graph")
        self.recorded.append(work)
        return work
