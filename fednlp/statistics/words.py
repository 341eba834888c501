"""What a comparison may claim, as sentences for tables and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fednlp.statistics.rules import TESTS_FROM

if TYPE_CHECKING:
    from fednlp.statistics.comparison import Comparison


def comparison_words(pair: Comparison) -> str:
    """One sentence: the claim, or that there is none, and what it rests on."""
    names = f"{pair.first} and {pair.second}"
    difference, count = pair.difference, len(pair.seeds)
    if difference is None:
        return f"{names}: no seed in common, not compared"
    observed = f"{pair.first} minus {pair.second}: {difference.mean:+.3f}"
    if difference.t_interval:
        low, high = difference.t_interval
        observed += f" [{low:+.3f}, {high:+.3f}]"
    elif difference.mean == 0 and difference.std == 0:
        observed = f"{names}: the same score in each"
    elif difference.std == 0:
        observed += " in each"
    observed += f" of {count} common seeds" if count > 1 else " in one common seed"
    if count < TESTS_FROM:
        return f"{observed}; fewer than {TESTS_FROM} seeds: no claim"
    if difference.std == 0:
        return f"{observed}; no variation between seeds: no claim"
    tests = f"{p_value('t', pair.t_p)}, {p_value('Wilcoxon', pair.wilcoxon_p)}"
    claim = f"{pair.better} is better" if pair.better else "no difference shown"
    corrected = f", Holm over {pair.family} pairs" if pair.family > 1 else ""
    sentence = f"{observed}; {claim} ({tests}{corrected})"
    if pair.better or pair.needed is None:
        return sentence
    return f"{sentence}; seeds needed for it at 80 % power: {pair.needed}"


def p_value(test: str, p: float | None) -> str:
    """For example `t p = 0.012`."""
    if p is None:
        return f"{test} undefined"
    return f"{test} p < 0.001" if p < 0.001 else f"{test} p = {p:.3f}"
