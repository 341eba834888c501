"""Statistics on plain arrays and mappings: no run folder, no task, no torch.

    summary              mean, deviation and intervals over seeds
    compare              methods in pairs, on the seeds that both have
    ranks                ranks with ties where no difference is shown
    seeds_needed         seeds that would show a difference
    example_bootstrap    the error over test examples, beside that over seeds
    critical_difference  methods over many independent data sets

How many seeds each statement takes is in `rules`, and why in docs/statistics.md. SciPy is imported
when it is first needed.
"""

from .comparison import Comparison, compare
from .critical_difference import CriticalDifference, critical_difference
from .examples import ExampleDifference, example_bootstrap
from .power import SeedsNeeded, seeds_needed
from .ranking import Rank, ranks
from .summary import Summary, summary

__all__ = [
    "Comparison",
    "CriticalDifference",
    "ExampleDifference",
    "Rank",
    "SeedsNeeded",
    "Summary",
    "compare",
    "critical_difference",
    "example_bootstrap",
    "ranks",
    "seeds_needed",
    "summary",
]
