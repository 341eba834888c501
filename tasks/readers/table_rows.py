"""The rows of a table file, one batch in memory at a time: CSV and TSV, JSON lines, Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError
from tasks.readers.csv_rows import csv_rows
from tasks.readers.json_values import loaded
from tasks.readers.reader import readable
from tasks.readers.table_record import Columns
from tasks.readers.text_lines import Encoding, text_lines
from tasks.readers.unpack import BROKEN, check_growth, open_file

if TYPE_CHECKING:
    import pyarrow

BATCH = 64  # rows of Parquet decoded at a time

Rows = Iterator[tuple[str, dict[str, Any] | DataError]]  # where, and our column -> its value


@dataclass(frozen=True)
class Layout:
    """How a delimited text file is laid out (see csv_rows.py)."""

    delimiter: str
    quoting: bool
    header: bool
    encoding: Encoding


def csv_table(path: Path, columns: Columns, layout: Layout) -> Rows:
    """Rows of a CSV or TSV file, compressed or not; all values are strings."""
    with readable(path, "a CSV or TSV file", *BROKEN), open_file(path) as file:
        rows = csv_rows(
            file, str(path), layout.delimiter, layout.quoting, layout.encoding, ends=True
        )
        first = next(rows, None)
        if first is None:
            return
        where, header = first
        if isinstance(header, DataError):
            raise header
        known: dict[str | int, int] = {place: place for place in range(len(header))}
        if layout.header:
            known = {**{name: place for place, name in enumerate(header)}, **known}
        names = columns.among(where, known)
        _check_unique(where, header, names)
        places = [(ours, known[theirs]) for ours, theirs in names.items()]
        if not layout.header:
            yield where, {ours: header[place] for ours, place in places}
        for where, cells in rows:
            if isinstance(cells, DataError):
                yield where, cells
            elif layout.header and [cells[0].removeprefix("\ufeff"), *cells[1:]] == header:
                found = "the header again"  # of a second file that was joined to the first
                yield where, DataError(where, found, "a row", "drop the line")
            else:
                yield where, {ours: cells[place] for ours, place in places}


def _check_unique(where: str, known: list[str], names: dict[str, str | int]) -> None:
    for name in names.values():
        if isinstance(name, str) and known.count(name) > 1:
            raise DataError(where, f"{known.count(name)} columns {name!r}", "one of that name")


def json_lines(path: Path, columns: Columns) -> Rows:
    """Rows of a JSON lines file, compressed or not: one object per line, blank lines between."""
    keys: tuple[str, ...] | None = None
    names: dict[str, str | int] = {}
    with readable(path, "a JSON lines file", *BROKEN), open_file(path) as file:
        for where, line in text_lines(file, str(path)):
            try:
                if isinstance(line, DataError):
                    raise line
                if not line.strip():
                    continue
                content = _object(where, line)
                if tuple(content) != keys:  # mostly the same in all lines
                    inside = [path for path in columns.paths if path.partition(".")[0] in content]
                    names = columns.among(where, [*content, *inside])
                    keys = tuple(content)
                yield where, {ours: _value(where, content, name) for ours, name in names.items()}
            except DataError as error:
                yield where, error


def _value(where: str, content: dict[str, Any], name: str | int) -> Any:
    """The value of a column, or, of `meta.user`, that of a column inside a column."""
    if name in content:
        return content[name]
    value: Any = content
    for key in str(name).split("."):
        if value is None:
            break
        if not isinstance(value, dict) or key not in value:
            raise DataError(where, f"no column {name!r}", fix="correct local.options.columns")
        value = value[key]
    return value


def _object(where: str, line: str) -> dict[str, Any]:
    try:
        content = loaded(line, where)
    except DataError:
        raise
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where} column {error.colno}", error.msg, "one JSON object per line",
            "put every object on a line of its own",
        ) from None  # fmt: skip
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, endless nesting
        raise DataError(where, f"{error}"[:100], "one JSON object per line") from None
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
        raise DataError(where, found, "one JSON object per line")
    return content


def parquet_rows(path: Path, columns: Columns) -> Rows:
    """Rows of a Parquet file, of the columns that are needed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (
        readable(path, "a Parquet file", pa.ArrowException, *BROKEN),
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        check_growth(str(path), path.stat().st_size, unpacked)
        _check_zones(str(path), file.schema_arrow)
        known = [name for field in file.schema_arrow for name in _and_inside(field)]
        names = columns.among(str(path), known)
        _check_unique(str(path), known, names)
        number = seen = 0
        for batch in file.iter_batches(BATCH, columns=list(dict.fromkeys(names.values()))):
            seen += batch.nbytes  # a dictionary repeats one value at no cost in the file
            check_growth(str(path), path.stat().st_size, seen)
            for content in batch.to_pylist():
                number += 1
                where = f"{path} row {number}"
                yield where, {ours: _value(where, content, name) for ours, name in names.items()}


def _and_inside(field: pyarrow.Field, above: str = "") -> Iterator[str]:
    """A column's name, and those of the columns inside it."""
    import pyarrow as pa

    yield above + field.name
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _and_inside(inner, f"{above}{field.name}.")


def _check_zones(where: str, schema: pyarrow.Schema) -> None:
    """Raises DataError for times of a zone that nobody knows, which cannot be read."""
    import pyarrow as pa

    for field in schema:
        zone = getattr(field.type, "tz", None)
        try:
            if zone is not None:
                pa.scalar(0, field.type).as_py()
        except (ValueError, KeyError, OSError, pa.ArrowException):
            found = f"column {field.name!r} has times of the zone {zone!r}"
            raise DataError(
                where, found, "a zone such as Europe/Berlin", "write them anew"
            ) from None
