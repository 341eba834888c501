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
    seeds = f"{count} common seeds" if count > 1 else "one common seed"
    if difference.std == 0:
        value = f"{difference.mean:+.3f}" if difference.mean else "no difference"
        observed = f"{pair.first} minus {pair.second}: {value} in each of {seeds}"
    else:
        ends = difference.t_interval
        interval = f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else ""
        observed = (
            f"{pair.first} minus {pair.second}: {difference.mean:+.3f}{interval} over {seeds}"
        )
    needed = "" if pair.needed is None else f"; seeds needed at 80 % power: {pair.needed}"
    if count < TESTS_FROM:
        return f"{observed}; fewer than {TESTS_FROM} seeds: no claim{needed}"
    if difference.std == 0:
        return f"{observed}; no variation between seeds: no claim"
    tests = f"{p_value('t', pair.t_p)}, {p_value('Wilcoxon', pair.wilcoxon_p)}"
    corrected = f", Holm over {pair.family} pairs" if pair.family > 1 else ""
    if pair.better:
        return f"{observed}; {pair.better} is better ({tests}{corrected})"
    return f"{observed}; no difference shown ({tests}{corrected}){needed}"


def p_value(test: str, p: float | None) -> str:
    """For example `t p = 0.012`."""
    if p is None:
        return f"{test} undefined"
    return f"{test} p < 0.001" if p < 0.001 else f"{test} p = {p:.3f}"
