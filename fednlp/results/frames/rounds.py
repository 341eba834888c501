"""One row per run and round, from `rounds.jsonl`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from fednlp.errors import UserError
from fednlp.results.bounds import AMOUNT, METRIC, NUMBER
from fednlp.results.files import START_AGAIN
from fednlp.results.frames.columns import TEXT, refuse_out_of_bounds
from fednlp.results.manifest import read_log, read_manifest, read_rounds
from fednlp.results.own_names import MANIFEST
from fednlp.results.reading import SUMS, refuse_disagreement, without_primary
from fednlp.results.schema import Result

_SECONDS = ("device_seconds", "evaluation_seconds", "wall_seconds")
_NUMBERS = ("train_loss", "correction_ratio", *_SECONDS)
_LISTS = {"clients": "cohort", "skipped": "skipped"}  # a record's key -> the column with its length
_RECORD = pa.schema(
    {
        "round": pa.int64(),
        **dict.fromkeys(SUMS, pa.int64()),
        **dict.fromkeys(_NUMBERS, pa.float64()),
        "weights_sha256": pa.string(),
        **dict.fromkeys(_LISTS, pa.list_(pa.int64())),
    }
)
_BOUNDS = {
    **dict.fromkeys((*SUMS, *_SECONDS), AMOUNT),
    **dict.fromkeys(("train_loss", "correction_ratio"), NUMBER),
}
_METRIC = "validation."
COLUMNS = (  # the metrics `validation.*` stand behind `validation`
    *("run", "round", "train_loss", "correction_ratio", "validation"),
    *(*_LISTS.values(), "examples", "steps", "real_tokens", "padded_tokens"),
    *("bytes_up", "bytes_down", "total_bytes", *_SECONDS, "total_device_seconds"),
    "weights_sha256",
)


def read_records(path: Path, result: Result) -> pa.Table:
    """The records of one run; its validation metrics are columns `validation.<metric>`.

    Raises:
        UserError: they are damaged, or not those that the result was made from.
    """
    log, manifest = path / "rounds.jsonl", read_manifest(path / MANIFEST)
    if not manifest.log_sha256:  # an older program's, for which no checksum vouches
        read_rounds(path, manifest)
    table = _parsed(read_log(path, manifest), log)
    numbers = table["round"].combine_chunks()
    if numbers.null_count or not np.array_equal(
        numbers.to_numpy(), np.arange(1, manifest.completed + 1)
    ):
        found = f"its records are not those of rounds 1 to {manifest.completed}"
        raise UserError(str(log), found, fix=START_AGAIN)

    def record(number: int) -> dict[str, object]:
        (row,) = table.slice(number - 1, 1).to_pylist()
        return dict(row)

    sums = {key: pc.sum(table[key]).as_py() or 0 for key in SUMS}
    refuse_disagreement(path, result, len(table), sums, record)
    for key in SUMS:
        table = _replaced(table, key, key, pc.fill_null(table[key], 0))
    for key, name in _LISTS.items():
        count = pc.cast(pc.list_value_length(table[key]), pa.int64())
        table = _replaced(table, key, name, pc.fill_null(count, 0))
    table = table.flatten()
    if len(set(table.column_names)) < len(table.column_names):
        raise UserError(str(log), "tells one thing twice", fix=START_AGAIN)
    metrics = [name for name in table.column_names if name.startswith(_METRIC)]
    refuse_out_of_bounds(table, {**_BOUNDS, **dict.fromkeys(metrics, METRIC)}, log)
    _refuse_without_primary(table, metrics, path, result.primary_metric)
    return table


def _refuse_without_primary(table: pa.Table, metrics: Sequence[str], path: Path, key: str) -> None:
    told = np.array([table[name].is_valid().to_numpy() for name in metrics])
    lacking = np.flatnonzero(told.any(0) & ~told[metrics.index(_METRIC + key)])
    if lacking.size:
        raise without_primary(path, int(lacking[0]) + 1, key)


def _parsed(data: bytes, path: Path) -> pa.Table:
    whole = json.ReadOptions(use_threads=False, block_size=len(data) + 1)
    try:
        return json.read_json(
            io.BytesIO(data), whole, json.ParseOptions(_RECORD, unexpected_field_behavior="infer")
        )
    except pa.ArrowException as error:
        found = f"is no table of rounds ({' '.join(str(error).split())[:200]})"
        raise UserError(str(path), found, fix=START_AGAIN) from None


def _replaced(table: pa.Table, key: str, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(key), name, values)


def rounds_frame(
    names: Sequence[str], metrics: Sequence[str], tables: Sequence[pa.Table]
) -> pd.DataFrame:
    """All runs below one another.

    Args:
        names: of the run folders.
        metrics: the primary metric of each.
        tables: of `read_records`.
    """
    empty = pa.table({key: pa.array([], type=_type(key)) for key in _kept()})
    joined = pa.concat_tables([empty, *map(_known, tables)], promote_options="permissive")
    of_run = np.repeat(np.arange(len(names)), [len(table) for table in tables])
    own = sorted(name for name in joined.column_names if name.startswith(_METRIC))
    primary = np.full(len(joined), np.nan)
    wanted = np.array([_METRIC + metric for metric in metrics], dtype=object)[of_run]
    for name in own:
        rows = wanted == name
        primary[rows] = joined[name].to_numpy()[rows]
    columns = {name: joined[name] for name in joined.column_names}
    columns["run"] = pa.array(names, pa.string()).take(pa.array(of_run))
    columns["validation"] = pa.array(primary)
    order = [n for name in COLUMNS for n in ([name, *own] if name == "validation" else [name])]
    totals = {"total_bytes", "total_device_seconds"}
    plain = pa.table({name: columns[name] for name in order if name not in totals})
    frame = plain.to_pandas(types_mapper={pa.string(): TEXT}.get)
    sent = frame["bytes_up"] + frame["bytes_down"]
    frame["total_bytes"] = sent.groupby(of_run).cumsum()
    frame["total_device_seconds"] = frame["device_seconds"].groupby(of_run).cumsum()
    return frame[order]


def _known(table: pa.Table) -> pa.Table:
    """Without what later programs may add to a record."""
    own = [name for name in table.column_names if name.startswith(_METRIC)]
    metrics = pa.table({name: pc.cast(table[name], pa.float64()) for name in own})
    kept = table.select(_kept())
    for name in own:
        kept = kept.append_column(name, metrics[name])
    return kept


def _kept() -> list[str]:
    return [_LISTS.get(name, name) for name in _RECORD.names]


def _type(name: str) -> pa.DataType:
    return pa.int64() if name in _LISTS.values() else _RECORD.field(name).type
