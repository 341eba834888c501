"""One row per run and client, from `clients.csv`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from fednlp.errors import UserError
from fednlp.results.bounds import AMOUNT, METRIC
from fednlp.results.files import START_AGAIN, not_read
from fednlp.results.frames.columns import TEXT, refuse_out_of_bounds
from fednlp.results.schema import Result
from tasks.plain_files import read_plain

_ALWAYS = {
    "client": pa.int64(),
    "train_examples": pa.int64(),
    "test_examples": pa.int64(),
    "held_out": pa.bool_(),
}
_SCORES = ("score", "global_score", "local_only")
_SCHEMA = pa.schema({**_ALWAYS, **dict.fromkeys(_SCORES, pa.float64())})
_BOUNDS = {
    **dict.fromkeys(("client", "train_examples", "test_examples"), AMOUNT),
    **dict.fromkeys(_SCORES, METRIC),
}
COLUMNS = ("run", *_SCHEMA.names)


def read_clients(path: Path, result: Result) -> pa.Table:
    """The clients of one federated run.

    Raises:
        UserError: the table is missing, damaged, or not the one that the result was written with.
    """
    where = path / "clients.csv"
    try:
        data = read_plain(where)
    except OSError as error:
        raise not_read(where, error) from None
    if result.files.get(where.name) not in (None, _sha256(data)):
        found = "is not the file that the result was written with"
        raise UserError(str(where), found, fix=START_AGAIN)
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            csv.ReadOptions(use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=_SCHEMA,
                include_columns=_SCHEMA.names,
                include_missing_columns=True,
            ),
        )
    except pa.ArrowException as error:
        found = f"is no table of clients ({' '.join(str(error).split())[:200]})"
        raise UserError(str(where), found, fix=START_AGAIN) from None
    lacking = next((name for name in _ALWAYS if table[name].null_count), None)
    if lacking is not None:
        raise UserError(str(where), f"a client without {lacking}", fix=START_AGAIN)
    refuse_out_of_bounds(table, _BOUNDS, where)
    return table


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def clients_frame(names: Sequence[str], tables: Sequence[pa.Table]) -> pd.DataFrame:
    """All runs below one another; names: of the run folders."""
    joined = pa.concat_tables([_SCHEMA.empty_table(), *tables])
    of_run = np.repeat(np.arange(len(names)), [len(table) for table in tables])
    run = pa.array(names, pa.string()).take(pa.array(of_run))
    joined = joined.add_column(0, "run", run)
    return joined.to_pandas(types_mapper={pa.string(): TEXT}.get)
