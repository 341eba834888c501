"""Numbers as statistics take them: finite, and equal where they differ by rounding alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fednlp.errors import UserError

ROUNDING = 12  # decimals of the largest score that count; float64 has 15
LARGEST = 1e100  # squares of it are still numbers


def finite(values: Iterable[float], where: str) -> np.ndarray:
    """The values [n] as float64.

    Raises:
        UserError: there is none, or one is not a finite number.
    """
    array = np.asarray(list(values), np.float64)
    if not array.size:
        raise UserError(where, "no value", "at least one")
    wrong = array[~(np.abs(array) <= LARGEST)]
    if wrong.size:
        raise UserError(where, f"found {wrong.flat[0]}", "finite numbers")
    return array


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """first - second [n], free of rounding: 0.8 - 0.7 and 0.4 - 0.3 are ties.

    The scale is that of the scores: a difference of less than 1e-12 of the largest is none.
    """
    scale = max(np.abs(first).max(), np.abs(second).max())
    if scale == 0:
        return np.zeros_like(first)
    return np.round(first / scale - second / scale, ROUNDING) * scale + 0.0  # and no -0.0


def all_equal(values: np.ndarray) -> bool:
    """Whether values [n] differ by no more than rounding."""
    return bool(np.ptp(values) <= np.abs(values).max() * 10.0**-ROUNDING)
