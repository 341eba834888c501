"""DataFrames whose dtypes do not depend on what stands in them, nor on the version of pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

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
