"""What submitters say of their runs: when and how they were made, a licence."""

from __future__ import annotations

from collections.abc import Iterable

from fednlp.leaderboard.digest import BoardRun
from fednlp.results.escaping import shown

LONGEST = 2000  # characters: as long as a submission may have it
MOST = 50  # notes of a page


def submission_notes(runs: Iterable[BoardRun]) -> list[tuple[str, str]]:
    """Each place of these runs that came with a note, and the note."""
    said = {run.source: run.submission_note for run in runs if run.submission_note}
    return [(shown(source, 200), shown(note, LONGEST)) for source, note in said.items()][:MOST]
