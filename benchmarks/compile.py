"""Local training with `engine.compile` against training without, on this machine's CPU.

Compiled code is torch's own in place of the harness's kernels, and is made for the weights'
shapes, so the embedding keeps all its rows. It is compared with the harness as it is, and with the
same arithmetic that is not compiled. Compiling is timed apart.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.overhead import TOLERANCE, one_client, without_dropout
from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import BERT, Workload, workload
from fednlp.compiled import CompiledModule
from fednlp.experiment import prepare_process

LR, CLIP = 1e-3, 1.0


class Arm:
    """Participations of single clients."""

    def __init__(self, experiment: Workload, own: bool, compiled: str | None = None) -> None:
        experiment.own_kernels = own
        self.experiment, self.whole = experiment, not own
        self.trainer = experiment.trainer()
        self.start = experiment.initial_weights
        self.steps = 0
        if compiled is not None:
            self.trainer.module = CompiledModule(self.trainer.model.module, compiled)

    def run(self, repetition: int) -> Sample:
        client, examples = one_client(self.experiment, repetition)
        prepare_process(self.experiment.config)
        watch = Stopwatch()
        participation = self.trainer.participate(
            examples, self.start, round=0, client=client, whole_vocabulary=self.whole
        )
        self.steps = participation.advance().steps
        return watch.stop()


def check(compiled: Arm, plain: Arm) -> None:
    """Without dropout, whose draws differ, both end at the same weights."""
    for arm in (compiled, plain):
        with without_dropout(arm.trainer.model.module):
            arm.run(0)
    ends = [arm.trainer.model.weights for arm in (compiled, plain)]
    change = float((ends[0] - ends[1]).norm() / (ends[1] - plain.start).norm())
    if not change < TOLERANCE:
        raise SystemExit(f"compile: the arms differ by {change:.2g} of their change")


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=20).parse_args()
    repetitions = 2 if options.smoke else options.repetitions
    backend = "aot_eager" if options.smoke else "inductor"
    made = {"smoke": options.smoke, "lr": LR, "clip_norm": CLIP, "optimizer": "adamw"}
    harness = Arm(workload(BERT, **made), own=True)
    plain = Arm(workload(BERT, **made), own=False)
    compiled = Arm(workload(BERT, **made), own=False, compiled=backend)
    torch.compiler.config.force_disable_caches = True  # an earlier run's code must not be found
    began = time.perf_counter()
    compiled.run(0)
    first = time.perf_counter() - began
    check(compiled, plain)  # compiles once more, for no dropout
    arms = {"harness": harness.run, "plain": plain.run, "compiled": compiled.run}
    samples = alternate(arms, repetitions, warm_up=2, title="compile")
    steps = harness.steps
    rows = [
        [
            title,
            f"{seconds(samples[name]) / steps * 1e3:.1f}",
            str(ratio(samples["compiled"], samples[name])),
        ]
        for title, name in (
            ("compiled", "compiled"),
            ("torch's kernels, whole embedding", "plain"),
            ("the harness as it is", "harness"),
        )
    ]
    usual = float(np.median([sample.wall for sample in samples["compiled"]]))
    report = Report("compile", "Compiled local training", machine(harness.experiment))
    report.parts += [
        f"AdamW with clipping; one sample is one participation of one client (one epoch, {steps} "
        f"steps or one less); median of {repetitions} ratios within a repetition (quartiles). "
        "Without dropout compiled and plain training end at the same weights (checked "
        "beforehand).",
        table(["training", "ms per step", "compiled / this"], rows),
        f"Compiling took {max(first - usual, 0.0):.0f} s, once per process. "
        f"{harness.experiment.description}.",
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
