"""A run folder or a submission, checked: its files, its data, and rounds that are made again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fednlp.errors import UserError
from fednlp.random_streams import generator
from fednlp.shown import shown
from fednlp.submissions.read import open_submission
from fednlp.verification.check import Check, checked
from fednlp.verification.data_checks import data_checks
from fednlp.verification.evidence import Evidence, finished_run, require_finished
from fednlp.verification.personal_scores import personal_scores
from fednlp.verification.records import record_checks
from fednlp.verification.remake import Remake
from fednlp.verification.replay import replay_check
from fednlp.verification.starts import Segment, segments
from fednlp.verification.stored_scores import stored_scores
from tasks.plain_files import kind_of

Verdict = Literal["verified", "consistent", "not verified", "failed"]


@dataclass
class Report:
    """What was checked of one run.

    rounds: how many were to be replayed. seed: by which they were drawn.
    """

    folder: str
    rounds: int
    seed: int
    checks: list[Check] = field(default_factory=list)
    replays: list[Check] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """`verified`: nothing fails and every replay came out the same. `consistent`: nothing fails
        and no replay was asked for. `not verified`: nothing fails, but nothing could be replayed.
        """
        if any(check.failed for check in [*self.checks, *self.replays]):
            return "failed"
        if self.rounds == 0:
            return "consistent"
        replayed = [check.outcome == "passed" for check in self.replays]
        return "verified" if replayed and all(replayed) else "not verified"

    @property
    def passed(self) -> bool:
        return self.verdict in ("verified", "consistent")

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.folder,
            "verdict": self.verdict,
            "rounds": self.rounds,
            "seed": self.seed,
            "checks": [check.as_json() for check in self.checks],
            "replays": [check.as_json() for check in self.replays],
        }


def verify(
    path: Path, rounds: int, seed: int | None = None, trust_code: bool = False
) -> Iterator[Report]:
    """Checks a run folder, or every run of a submission.

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
                yield _report(folder, rounds, drawn, trust_code)
        return
    require_finished(path)
    yield _report(path, rounds, drawn, trust_code)


def _report(path: Path, rounds: int, seed: int, trust_code: bool) -> Report:
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
        report.checks += data_checks(evidence, remake)
        if rounds:
            scores = checked(
                "scores of the stored weights", lambda: stored_scores(evidence, remake)
            )
            report.checks.append(scores)
            if evidence.result.clients is not None and evidence.result.clients.personal:
                own = checked("personal scores", lambda: personal_scores(evidence, remake))
                report.checks.append(own)
            report.replays += _replays(evidence, remake, rounds, seed)
    report.checks = [_here(check, path) for check in report.checks]
    report.replays = [_here(check, path) for check in report.replays]
    return report


def _replays(evidence: Evidence, remake: Remake, rounds: int, seed: int) -> list[Check]:
    rng, wanted = generator(seed, f"verify {evidence.result.id}"), list[Segment]()

    def draw() -> str:
        wanted.extend(segments(evidence, rounds, rng))
        return ""

    drawn = checked("drawing of rounds", draw)  # from records that may hold anything
    return [drawn] if drawn.failed else [replay_check(evidence, remake, s) for s in wanted]


def _here(check: Check, path: Path) -> Check:
    """Without the folder that it is about, which may be a temporary one."""
    return Check(check.name, check.outcome, check.detail.replace(f"{path}/", ""))
