"""How much better a model looks that was selected on the test split.

    python -m benchmarks.selection_on_test RUNS [--write]

RUNS: a directory of finished runs of which every validated round's weights were kept
(`checkpoint.keep_every`). Each is scored on test, and the best one is compared with the one that
validation selected: the difference is what selection on test adds to a score.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.report import Report, arguments, as_command, machine, table
from fednlp import config as configuration
from fednlp.console import console
from fednlp.errors import UserError
from fednlp.evaluation import Evaluator
from fednlp.experiment import Experiment, prepare_process
from fednlp.results.files import read_tensors
from fednlp.results.gap import Estimate, Gap, gaps
from fednlp.results.manifest import read_manifest
from fednlp.results.reading import FinishedRun, load_runs


@dataclass(frozen=True)
class Selection:
    """Test scores of one run: of the round selected on validation, the best one, the last one."""

    on_validation: float
    on_test: float
    last: float

    @property
    def optimism(self) -> float:
        return self.on_test - self.on_validation


def selection(run: FinishedRun) -> Selection | None:
    """Scores the kept rounds of a run; None where not every validated round was kept."""
    manifest = read_manifest(run.path / "checkpoints" / "manifest.json")
    validated = [r["round"] for r in run.rounds if r.get("validation") is not None]
    if not set(map(str, validated)) <= set(manifest.kept):
        return None
    config = configuration.load(run.path / "config.yaml")
    prepare_process(config)
    experiment = Experiment(config)
    evaluator, scores = Evaluator(experiment), {}
    indices = np.arange(len(experiment.corpus.splits["test"]))
    for number in validated:
        file = manifest.kept[str(number)]
        weights = read_tensors(run.path / file, manifest.sha256[file])["weights"]
        _, scored = evaluator.score("test", weights.to(experiment.device), indices)
        scores[number] = scored.metrics[run.result.primary_metric]
    return Selection(scores[run.result.selected.round], max(scores.values()), scores[validated[-1]])


def line(gap: Gap, found: list[Selection]) -> list[str]:
    """The cells of a method: means over seeds, of the optimism with its 95 % t-interval."""
    means = (
        float(np.mean([getattr(one, name) for one in found]))
        for name in ("on_validation", "on_test", "last")
    )
    optimism = Estimate.of([one.optimism for one in found])
    return [gap.method, str(len(found)), *(f"{mean:.3f}" for mean in means), str(optimism)]


def main() -> None:
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("runs", type=Path, help="a directory of run folders")
    options = parser.parse_args()
    problems: list[str] = []
    blocks: dict[str, list[list[str]]] = {}
    parts = None
    for gap in gaps(load_runs(options.runs, problems), problems):
        found = []
        pairs = gap.pairs[:1] if options.smoke else gap.pairs
        for run, _ in track(pairs, gap.method, console=console, transient=True):
            one = selection(run)
            if one is not None:
                found.append(one)
                parts = parts or Experiment(configuration.load(run.path / "config.yaml"))
        if found:
            blocks.setdefault(gap.benchmark, []).append(line(gap, found))
    if parts is None:
        fix = "run them with checkpoint.keep_every"
        raise UserError(
            str(options.runs), "no run kept the weights of its validated rounds", fix=fix
        )
    report = Report("selection_on_test", "What selection on test adds to a score", machine(parts))
    header = ["method", "seeds", "selected on validation", "selected on test", "last", "optimism"]
    for benchmark, rows in blocks.items():
        report.parts += [f"**{benchmark}**", table(header, rows)]
    report.publish(options.write)
    for problem in problems:
        print(problem, file=sys.stderr)


if __name__ == "__main__":
    as_command(main)
