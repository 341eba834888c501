"""Two processes of the torchrun engine against one; what a round costs beside training; bytes sent.

The ways take turns inside one run. The ceiling is what two cores of this machine give at all: both
processes train their halves of a round at the same time and exchange one word at the end. A plan
for a cluster is computed from what was measured, what follows from that, and an assumed network.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from benchmarks.cluster_plan import measured, plan_parts
from benchmarks.distributed_rank import (
    TRAINED,
    UNTRAINED,
    bytes_sent,
    cohort_of,
    experiments,
    train_share,
)
from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Spread, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import Workload
from fednlp.engines.local import LocalEngine
from fednlp.engines.torchrun.group import Group
from fednlp.engines.torchrun.leader import TorchrunEngine
from fednlp.engines.torchrun.membership import membership

ONE, TWO, CEILING = "1 process", "2 processes", "2 processes that exchange nothing"
SHARE, OVERHEAD, EXCESS = 0.90, 20.0, 0.05  # targets: of the ceiling; ms; beyond the bytes claimed
TOLERANCE = 1e-5  # between the means of a round


class NoStates:
    """Of clients that keep none."""

    def load(self, client: int, round: int) -> dict[str, torch.Tensor]:
        return {}

    def store(self, client: int, round: int, state: dict[str, torch.Tensor]) -> None:
        raise AssertionError("a client keeps a state")


@contextmanager
def two_processes(smoke: bool) -> Iterator[Group]:
    """This one, as rank 0, and another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "benchmarks.distributed_rank", *["--smoke"][: int(smoke)]]
    other = subprocess.Popen(command, env={**os.environ, **variables, "RANK": "1"})
    try:
        me = membership({**variables, "RANK": "0"})
        assert me is not None
        group = Group(me)
        yield group
        group.post.end(failed=False)
        group.close()
        other.wait(timeout=60)
    finally:
        other.kill()
        other.wait()


@dataclass
class Ways:
    """Rounds of one experiment in each way, all from the initial weights, which all hold."""

    experiment: Workload
    engine: TorchrunEngine
    means: dict[str, torch.Tensor] = field(default_factory=dict)

    def one(self, repetition: int) -> Sample:
        return self._round(ONE, LocalEngine(self.experiment), repetition)

    def two(self, repetition: int) -> Sample:
        return self._round(TWO, self.engine, repetition)

    def ceiling(self, repetition: int) -> Sample:
        post = self.engine.post
        self.engine.settle()
        watch = Stopwatch()
        post.tell({"kind": "share", "round": repetition})
        train_share(self.experiment, self.engine.trainer, repetition, 0)
        post.answers()
        return watch.stop()

    def _round(
        self,
        name: str,
        engine: LocalEngine | TorchrunEngine,
        repetition: int,
    ) -> Sample:
        cohort = cohort_of(self.experiment, repetition)
        weights = self.experiment.initial_weights.clone()  # nothing is known of it beforehand
        self.engine.settle()
        watch = Stopwatch()
        outcome = engine.run_round(repetition, weights, {}, cohort, NoStates())
        sample = watch.stop()
        self.means[name] = outcome.mean["delta"]
        return sample


def speed(ways: Ways, repetitions: int) -> str:
    arms = {ONE: ways.one, TWO: ways.two, CEILING: ways.ceiling}
    samples = alternate(arms, repetitions, warm_up=1, title="distributed")
    distance = float((ways.means[TWO] - ways.means[ONE]).norm() / ways.means[ONE].norm())
    if not distance < TOLERANCE:
        raise SystemExit(f"distributed: the means differ by {distance:.2g}")
    share = ratio(samples[CEILING], samples[TWO])
    rows = [
        [name, f"{seconds(values):.2f}", str(ratio(samples[ONE], values))]
        for name, values in samples.items()
    ]
    note = (
        f"Share of the ceiling that two processes reach: {share} (target {SHARE}). The means of a "
        f"round differ by {distance:.1g} of their norm (at most {TOLERANCE:g})."
    )
    return "\n\n".join([table(["way", "s per round", f"{ONE} / this"], rows), note])


def overhead(ways: Ways, repetitions: int) -> str:
    """Of rounds that train nothing."""
    arms = {CEILING: ways.ceiling, TWO: ways.two}
    samples = alternate(arms, 10 * repetitions, warm_up=2, title="overhead")
    pairs = zip(samples[TWO], samples[CEILING], strict=True)
    spread = Spread.of([1e3 * (two.wall - bare.wall) for two, bare in pairs])
    rows = [[name, f"{1e3 * seconds(values):.1f}"] for name, values in samples.items()]
    rows.append(["the difference: the engine", str(spread)])
    note = (
        "Clients upload without training, so that sums, checks and hooks are all that both do. "
        f"Target of the difference: under {OVERHEAD:.0f} ms."
    )
    return "\n\n".join([table(["a round that trains nothing", "ms"], rows), note])


def wire(ways: Ways, repetitions: int) -> str:
    """Bytes that the system counted in all connections, beside those that the engine claims."""
    ways.two(0)
    before = _sent(ways.engine)
    for repetition in range(repetitions):
        ways.two(repetition + 1)
    after = _sent(ways.engine)
    measured_, claimed = ((b - a) / repetitions for a, b in zip(before, after, strict=True))
    excess = measured_ / claimed - 1
    vector = 4 * ways.experiment.initial_weights.numel()
    rows = [
        ["one vector of weights", f"{vector:,}", ""],
        ["claimed per round: 2 (n - 1) / n of it, from each of n = 2", f"{claimed:,.0f}", ""],
        ["counted by the system", f"{measured_:,.0f}", f"{100 * excess:+.2f} %"],
    ]
    note = f"Target: within {100 * EXCESS:.0f} % (what is told, signs of life and headers)."
    return "\n\n".join([table(["bytes", "of both processes", "beyond"], rows), note])


def _sent(engine: TorchrunEngine) -> tuple[int, int]:
    """Of both processes: counted, claimed."""
    engine.settle()
    engine.post.tell({"kind": "bytes"})
    counted, claimed = engine.post.answers()[0]["value"]
    return counted + bytes_sent(), claimed + engine.group.sent


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=5).parse_args()
    repetitions = 1 if options.smoke else options.repetitions
    known = experiments(options.smoke)
    with two_processes(options.smoke) as group:
        trained, untrained = known[TRAINED], known[UNTRAINED]
        engine = TorchrunEngine(trained, group)
        ways = Ways(trained, engine)
        parts = [
            f"{trained.description}; {trained.config.sampling.clients_per_round} clients per "
            "round, one local epoch with AdamW, one thread per process, gloo. Medians (quartiles) "
            "of ratios within a repetition.",
            speed(ways, repetitions),
        ]
        engine.settle()
        bare = Ways(untrained, TorchrunEngine(untrained, group))
        parts += [overhead(bare, repetitions), wire(bare, 10 * repetitions)]
        constants = measured(group)
        bare.engine.settle()
    parts += plan_parts(constants)
    Report("distributed", "Several processes", machine(trained), parts).publish(options.write)


if __name__ == "__main__":
    main()
