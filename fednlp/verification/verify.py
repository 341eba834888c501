"""A run folder or a submission, checked: its files, its data, and rounds that are made again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from fednlp.errors import UserError
from fednlp.random_streams import generator
from fednlp.shown import shown
from fednlp.submissions.read import open_submission
from fednlp.verification.check import Check, checked
from fednlp.verification.coverage import Coverage
from fednlp.verification.data_checks import data_checks
from fednlp.verification.evidence import Evidence, find_run, finished_run, require_finished
from fednlp.verification.personal_scores import personal_scores
from fednlp.verification.records import record_checks
from fednlp.verification.remake import Remake
from fednlp.verification.replay import replay_checks
from fednlp.verification.starts import Segment, segments
from fednlp.verification.weight_scores import score_checks
from tasks.plain_files import kind_of

Verdict = Literal[
    "verified",
    "verified within the tolerance",
    "consistent",
    "scores not verified",
    "not verified",
    "failed",
]


@dataclass
class Report:
    """What was checked of one run.

    rounds: how many were to be replayed; None: all. seed: by which they were drawn. scores: of the
    selected and of the last round, computed again from their weights. coverage: which rounds the
    replays come past; None where none was to be replayed, or drawn.
    """

    folder: str
    rounds: int | None
    seed: int
    checks: list[Check] = field(default_factory=list)
    replays: list[Check] = field(default_factory=list)
    scores: list[Check] = field(default_factory=list)
    coverage: Coverage | None = None

    @property
    def every(self) -> list[Check]:
        return [*self.checks, *self.replays, *self.scores]

    @property
    def verdict(self) -> Verdict:
        """Nothing fails, unless it is `failed`, and

        `verified`: all rounds were trained again in one piece from the initial weights and have the
        same bits, and the scores are those of the weights.
        `verified within the tolerance`: the same, but not to the bit.
        `consistent`: no replay was asked for.
        `scores not verified`: every replay came out the same, but the weights whose scores count
        were not reached from the initial weights, or their scores could not be computed.
        `not verified`: not everything could be replayed.
        """
        if any(check.failed for check in self.every):
            return "failed"
        if self.rounds == 0:
            return "consistent"
        if not (self.replays and all(check.holds for check in self.replays)):
            return "not verified"
        reached = self.coverage is not None and self.coverage.whole
        if not (reached and self.scores and all(check.holds for check in self.scores)):
            return "scores not verified"
        near = any(check.outcome == "within tolerance" for check in self.every)
        return "verified within the tolerance" if near else "verified"

    @property
    def not_possible(self) -> list[Check]:
        """What could not be checked here."""
        return [check for check in self.every if check.outcome == "not possible"]

    @property
    def passed(self) -> bool:
        return self.verdict in ("verified", "verified within the tolerance", "consistent")

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.folder,
            "verdict": self.verdict,
            "rounds": self.rounds,
            "seed": self.seed,
            "coverage": self.coverage and self.coverage.as_json(),
            "not_possible": [check.name for check in self.not_possible],
            "checks": [check.as_json() for check in self.checks],
            "replays": [check.as_json() for check in self.replays],
            "scores": [check.as_json() for check in self.scores],
        }


def _silent(line: str) -> None:
    """Says nothing."""


def verify(
    path: Path,
    rounds: int | None = None,
    seed: int | None = None,
    trust_code: bool = False,
    tell: Callable[[str], None] = _silent,
) -> Iterator[Report]:
    """Checks a run folder and the references beside it, or every run of a submission.

    Args:
        rounds: to be replayed, at random if not all; None: all; 0: only what is written is checked.
        seed: by which they are drawn; None: nobody can know it before.
        trust_code: execute a third party's method, if its hash is that of the identity.
        tell: is called with what replays will cost, before they begin.

    Raises:
        UserError: it is neither a finished run nor a submission.
    """
    drawn = secrets.randbelow(2**31) if seed is None else seed
    if kind_of(path) == "file":
        with open_submission(path) as submission:
            for folder in submission.folders:
                yield verify_run(folder, rounds, drawn, trust_code, tell)
        return
    require_finished(path)
    for folder in [path, *_references(path)]:
        yield verify_run(folder, rounds, drawn, trust_code, tell)


def _references(path: Path) -> list[Path]:
    """The folders beside a run of what it is compared with: its gap is worth no more than they."""
    try:
        told = finished_run(path).result.references
    except UserError:  # the run's own report says so
        return []
    found = (find_run(path.parent, reference.id, reference.folder) for reference in told)
    return [folder for folder in found if folder is not None]


def verify_run(
    path: Path,
    rounds: int | None,
    seed: int,
    trust_code: bool = False,
    tell: Callable[[str], None] = _silent,
) -> Report:
    """Checks one run folder, without the runs that it is compared with; see `verify`."""
    report = Report(shown(path.name), rounds, seed)
    try:
        evidence = Evidence(finished_run(path))
    except UserError as error:
        line = str(error).replace(f"{path}/", "")
        report.checks.append(Check("result, identity and rounds", "failed", shown(line, 600)))
        return report
    agree = f"schema {evidence.result.schema_version}, {len(evidence.rounds)} rounds"
    report.checks.append(Check("result, identity and rounds", "passed", agree))
    report.checks += record_checks(evidence)
    with tempfile.TemporaryDirectory(prefix="fednlp-") as place:
        remake = Remake(evidence, Path(place), trust_code)
        replayed: dict[int, Tensor] = {}
        if rounds != 0:  # first, since they tell what must be the same to the bit
            replayed = _replay(report, evidence, remake, tell)
        report.checks += data_checks(evidence, remake)
        if rounds != 0:
            report.scores = score_checks(evidence, remake, replayed)
            if evidence.result.clients is not None and evidence.result.clients.personal:
                own = checked("personal scores", lambda: personal_scores(evidence, remake))
                report.checks.append(own)
    for checks in (report.checks, report.replays, report.scores):
        checks[:] = [_here(check, path) for check in checks]
    return report


def _replay(
    report: Report, evidence: Evidence, remake: Remake, tell: Callable[[str], None]
) -> dict[int, Tensor]:
    """Fills in the replays of drawn rounds; the weights of `replay_checks`."""
    rng = generator(report.seed, f"verify {evidence.result.id}")
    wanted = list[Segment]()

    def draw() -> str:
        wanted.extend(segments(evidence, report.rounds, rng))
        report.coverage = Coverage.of(evidence, wanted)
        return ""

    drawn = checked("drawing of rounds", draw)  # from records that may hold anything
    if report.coverage is None:
        report.replays = [drawn]
        return {}
    tell(f"{report.folder}: {report.coverage.cost()}")
    report.replays, replayed = replay_checks(evidence, remake, wanted)
    return replayed


def _here(check: Check, path: Path) -> Check:
    """Without the folder that it is about, which may be a temporary one."""
    return replace(check, detail=check.detail.replace(f"{path}/", ""))
