"""How numbers are written on pages and in tables."""

from __future__ import annotations

from fednlp.statistics import Rank

MINUS = "−"


def quantity(value: float | None, digits: int = 3) -> str:
    """For example 0.825; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """For example +0.083 or −0.012."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """For example +53 %."""
    return "–" if value is None else f"{value:+.0%}".replace("-", MINUS).replace("%", " %")


def half_width(interval: tuple[float, float] | None) -> str:
    """For example ± 0.012; nothing where there is no interval."""
    return f"± {(interval[1] - interval[0]) / 2:.3f}" if interval else ""


def counted(count: int, name: str) -> str:
    """For example 1 run or 2,002 runs."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def duration(seconds: float) -> str:
    """For example 45 s, 3.4 min or 2.1 h: short enough for a cell."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3570 else f"{seconds / 3600:.1f} h"


def rank_text(rank: Rank | None) -> str:
    """For example 1 or 2–4; a dash where methods were not compared."""
    if rank is None:
        return "–"
    return f"{rank.best}" if rank.best == rank.worst else f"{rank.best}–{rank.worst}"
