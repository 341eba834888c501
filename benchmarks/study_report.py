"""docs/results.md and its figures, from the submissions results/study-*.zip.

    python -m benchmarks.study_report

Every number comes from the packed run folders. A submission is the suite of its name, packed:

    python run_bench.py suite configs/suites/study-central.yaml --out runs/study-central --jobs 2
    python run_bench.py submit runs/study-central/20newsgroups-* --out results/study-central.zip
"""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.report import as_command, table
from fednlp.errors import UserError
from fednlp.results import tables
from fednlp.results.comparison_tables import interval, sentences
from fednlp.results.escaping import markdown
from fednlp.results.gap import gaps
from fednlp.results.method_comparison import Contest, Standing, contests
from fednlp.results.plots import plot_gaps
from fednlp.submissions.read import open_submission

ROOT = Path(__file__).resolve().parents[1]
RESULTS, DOCS, SUITES = ROOT / "results", ROOT / "docs", ROOT / "configs" / "suites"
_HEADER = [
    *("method", "seeds", "federated", "gap", "95 % interval", "relative", "last", "sent", "rank")
]
_HEAD = """# Results of the study

Made by `python -m benchmarks.study_report` from the run folders in [results](../results); what
they say is in [findings](findings.md). One section per suite, one table per benchmark. Gap:
centralized minus federated on test, paired by seed, positive where the federated run is worse;
interval: Student's t over seeds. Relative: of what centralized training gains over the floor.
Last: the gap of the last round, where the others are of the round selected on validation. Sent:
both ways, all clients. Pairs: test scores, paired by seed, p values after Holm. How all this is
computed: [protocol](protocol.md), [statistics](statistics.md).
"""


def section(path: Path) -> str:
    """What docs/results.md says of one submission; writes its figures."""
    suite = SUITES / f"{path.stem}.yaml"
    told = yaml.safe_load(suite.read_text(encoding="utf-8"))["description"]
    parts = [f"## {path.stem}", told.strip()]
    link = f"[suite](../configs/suites/{suite.name}), [runs](../results/{path.name})"
    problems: list[str] = []
    with open_submission(path, weights=False) as submission:
        found = gaps(submission.runs(problems), problems)
        if problems or not found:
            raise UserError(str(path), "; ".join(problems) or "holds no finished run")
        figures = plot_gaps(found, DOCS / "images" / path.stem)
        parts.append(f"{link}; {len(submission.folders)} run folders.")
        for contest, figure in zip(contests(found), figures, strict=True):
            parts += _benchmark(contest, figure)
    return "\n\n".join(parts)


def _benchmark(contest: Contest, figure: Path) -> list[str]:
    first = contest.standings[0].line
    image = figure.relative_to(DOCS).as_posix()
    parts = [
        f"### {markdown(contest.benchmark)}",
        f"{markdown(tables.reference(first))}; achieved skew {first.skew or 0:.2f}.",
        table(_HEADER, [_cells(standing) for standing in contest.standings]),
    ]
    if contest.pairs:
        parts.append("\n".join(f"- {words}" for words in sentences(contest, markdown)))
    return [*parts, f"![curves]({image})"]


def _cells(standing: Standing) -> list[str]:
    line = standing.line
    method, seeds, federated, _, relative, last, sent, _ = tables.cells(line)
    return [
        *(markdown(method), seeds, federated, f"{standing.gap.mean:+.3f}"),
        *(interval(standing.gap.t_interval), relative, last, sent, str(standing.rank)),
    ]


def main() -> None:
    found = sorted(RESULTS.glob("study-*.zip"))
    if not found:
        raise UserError(str(RESULTS), "holds no study-*.zip", fix="run and pack a suite first")
    text = "\n\n".join([_HEAD.strip(), *map(section, found)]) + "\n"
    (DOCS / "results.md").write_text(text, encoding="utf-8")
    print(f"{DOCS / 'results.md'}: {len(found)} suites")


if __name__ == "__main__":
    as_command(main)
