"""DataFrames whose dtypes do not depend on what stands in them, nor on the version of pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fednlp.errors import UserError
from fednlp.results.files import START_AGAIN

TEXT = pd.StringDtype("pyarrow")
INTEGER, NUMBER, TRUTH = "int64", "float64", "bool"
MAYBE_INTEGER, MAYBE_TRUTH = "Int64", "boolean"  # with missing values


def frame(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, Any]) -> pd.DataFrame:
    """One column per dtype, in that order; what a row lacks is missing."""
    columns = {
        name: pd.Series([row.get(name) for row in rows], dtype=dtype)
        for name, dtype in dtypes.items()
    }
    return pd.DataFrame(columns)


def free_form(values: Sequence[Any]) -> pd.Series:
    """A column of settings: numbers if all that are there are numbers, truth values, or text.

    What is neither is written as JSON.
    """
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return pd.Series(values, dtype=MAYBE_TRUTH)
    if known and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        return pd.Series(values, dtype=NUMBER)
    texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    return pd.Series(texts, dtype=TEXT)


def refuse_out_of_bounds(
    table: pa.Table, bounds: Mapping[str, tuple[float, float]], path: Path
) -> None:
    """Holds columns of a file against the least and the largest value that they can have.

    Raises:
        UserError: a value is smaller, larger or no number; names the file and the column.
    """
    for name, (least, most) in bounds.items():
        column = table[name]
        if column.null_count == len(column):
            continue
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise UserError(f"{path}: {name}", "is no number", fix=START_AGAIN)
        found = pc.min_max(column).as_py()
        if not least <= found["min"] <= found["max"] <= most:
            raise UserError(
                f"{path}: {name}", "holds what no run can have measured", fix=START_AGAIN
            )
