"""All finished runs of a directory as three DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fednlp.errors import UserError
from fednlp.results.files import entries, stands
from fednlp.results.frames.clients import clients_frame, read_clients
from fednlp.results.frames.rounds import read_records, rounds_frame
from fednlp.results.frames.runs import ReadRun, check_names, runs_frame
from fednlp.results.reading import read_result
from tasks.plain_files import kind_of


@dataclass(frozen=True)
class RunTables:
    """Tidy tables, joined by the column `run`, the name of the run folder.

    Attributes:
        runs: one row per run.
        rounds: one row per run and round.
        clients: one row per federated run and client.
        problems: a line for each folder that is left out, and each missing reference.
    """

    runs: pd.DataFrame
    rounds: pd.DataFrame
    clients: pd.DataFrame
    problems: list[str]


def read_tables(directory: Path) -> RunTables:
    """Reads all finished runs directly in a directory, by folder name.

    Raises:
        UserError: there is no such directory.
    """
    if kind_of(directory) != "directory":
        raise UserError(str(directory), "no such directory", "a directory of run folders")
    problems: list[str] = []
    runs, records, federated, clients = [], [], [], []
    for path in entries(directory):
        try:
            if not stands(path / "result.json"):
                continue
            result, identity = read_result(path)
            run = ReadRun(path, result, identity)
            check_names(run)
            rounds = read_records(path, result)
            table = read_clients(path, result) if result.kind == "federated" else None
        except UserError as error:
            problems.append(str(error))
            continue
        runs.append(run)
        records.append(rounds)
        if table is not None:
            federated.append(path.name)
            clients.append(table)
    return RunTables(
        runs_frame(runs, problems),
        rounds_frame(
            [run.path.name for run in runs], [run.result.primary_metric for run in runs], records
        ),
        clients_frame(federated, clients),
        problems,
    )
