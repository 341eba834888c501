"""A run folder or a submission, checked: its files, its data, and rounds that are made again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from fednlp.errors import UserError
from fednlp.random_streams import generator
from fednlp.shown import shown
from fednlp.submissions.read import open_submission
from fednlp.verification.check import Check, checked
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

    rounds: how many were to be replayed. seed: by which they were drawn. of: how many rounds the
    run has. scores: of the selected and of the last round, computed again from their weights.
    """

    folder: str
    rounds: int
    seed: int
    of: int = 0
    checks: list[Check] = field(default_factory=list)
    replays: list[Check] = field(default_factory=list)
    scores: list[Check] = field(default_factory=list)

    @property
    def every(self) -> list[Check]:
        return [*self.checks, *self.replays, *self.scores]

    @property
    def verdict(self) -> Verdict:
        """Nothing fails, unless it is `failed`, and

        `verified`: every replay has the same bits, and the scores are those of the weights.
        `verified within the tolerance`: the same, but not to the bit.
        `consistent`: no replay was asked for.
        `scores not verified`: every replay came out the same, but not all scores could be computed.
        `not verified`: not everything could be replayed.
        """
        if any(check.failed for check in self.every):
            return "failed"
        if self.rounds == 0:
            return "consistent"
        if not (self.replays and all(check.holds for check in self.replays)):
            return "not verified"
        if not (self.scores and all(check.holds for check in self.scores)):
            return "scores not verified"
        near = any(check.outcome == "within tolerance" for check in self.every)
        return "verified within the tolerance" if near else "verified"

    @property
    def passed(self) -> bool:
        return self.verdict in ("verified", "verified within the tolerance", "consistent")

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.folder,
            "verdict": self.verdict,
            "rounds": self.rounds,
            "seed": self.seed,
            "checks": [check.as_json() for check in self.checks],
            "replays": [check.as_json() for check in self.replays],
            "scores": [check.as_json() for check in self.scores],
        }


def verify(
    path: Path, rounds: int, seed: int | None = None, trust_code: bool = False
) -> Iterator[Report]:
    """Checks a run folder and the references beside it, or every run of a submission.

    Args:
        rounds: to be replayed at random; 0: only what is written is checked.
        seed: by which they are drawn; None: nobody can know it before.
        trust_code: execute a third party's method, if its hash is that of the identity.

    Raises:
        UserError: it is neither a finished run nor a submission.
    """
    drawn = secrets.randbelow(2**31) if seed is None else seed
    if kind_of(path) == "file":
        with open_submission(path) as submission:
            for folder in submission.folders:
                yield verify_run(folder, rounds, drawn, trust_code)
        return
    require_finished(path)
    for folder in [path, *_references(path)]:
        yield verify_run(folder, rounds, drawn, trust_code)


def _references(path: Path) -> list[Path]:
    """The folders beside a run of what it is compared with: its gap is worth no more than they."""
    try:
        told = finished_run(path).result.references
    except UserError:  # the run's own report says so
        return []
    found = (find_run(path.parent, reference.id, reference.folder) for reference in told)
    return [folder for folder in found if folder is not None]


def verify_run(path: Path, rounds: int, seed: int, trust_code: bool = False) -> Report:
    """Checks one run folder, without the runs that it is compared with; see `verify`."""
    report = Report(shown(path.name), rounds, seed)
    try:
        evidence = Evidence(finished_run(path))
    except UserError as error:
        line = str(error).replace(f"{path}/", "")
        report.checks.append(Check("result, identity and rounds", "failed", shown(line, 600)))
        return report
    report.of = len(evidence.rounds)
    agree = f"schema {evidence.result.schema_version}, {len(evidence.rounds)} rounds"
    report.checks.append(Check("result, identity and rounds", "passed", agree))
    report.checks += record_checks(evidence)
    with tempfile.TemporaryDirectory(prefix="fednlp-") as place:
        remake = Remake(evidence, Path(place), trust_code)
        report.checks += data_checks(evidence, remake)
        if rounds:
            # first, since they tell whether scores must be the same to the bit
            report.replays, replayed = _replays(evidence, remake, rounds, seed)
            report.scores = score_checks(evidence, remake, replayed)
            if evidence.result.clients is not None and evidence.result.clients.personal:
                own = checked("personal scores", lambda: personal_scores(evidence, remake))
                report.checks.append(own)
    for checks in (report.checks, report.replays, report.scores):
        checks[:] = [_here(check, path) for check in checks]
    return report


def _replays(
    evidence: Evidence, remake: Remake, rounds: int, seed: int
) -> tuple[list[Check], dict[int, Tensor]]:
    """The replays of drawn rounds, and the weights of `replay_checks`."""
    rng, wanted = generator(seed, f"verify {evidence.result.id}"), list[Segment]()

    def draw() -> str:
        wanted.extend(segments(evidence, rounds, rng))
        return ""

    drawn = checked("drawing of rounds", draw)  # from records that may hold anything
    return ([drawn], {}) if drawn.failed else replay_checks(evidence, remake, wanted)


def _here(check: Check, path: Path) -> Check:
    """Without the folder that it is about, which may be a temporary one."""
    return replace(check, detail=check.detail.replace(f"{path}/", ""))
