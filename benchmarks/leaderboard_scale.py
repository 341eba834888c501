"""A site from 2,000 run folders of 300 rounds: time, memory, and ten runs more.

The folders are synthetic (`benchmarks/synthetic_runs.py`). Every build is a process of its own,
timed from its start; its memory is the largest sum over it and its workers, where a page that they
share counts once.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.memory import ROOT
from benchmarks.report import Report, arguments, table
from benchmarks.synthetic_runs import METHODS, TASKS, Made, write_pair
from benchmarks.timing import Sample, Spread, Stopwatch, alternate, ratio, show_progress

RUNS, ROUNDS, MORE = 2_000, 300, 10
SMOKE = (40, 6, 2)
ALPHAS = (0.05, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
SEEDS = 6
LIMITS = (60.0, 1_000, 2_000)  # seconds, MB of memory, kB of the largest page


def designs(rounds: int) -> Iterator[Made]:
    """Every method on every task and split, seed by seed; then with another learning rate."""
    for rate, alpha, task, seed in product((1e-3, 3e-3), ALPHAS, TASKS, range(SEEDS)):
        for number, method in enumerate(METHODS):
            quality = 0.9 - 0.06 * number - 0.1 / (1 + alpha)
            yield Made(task, alpha, method, rate, seed, rounds, quality)


@dataclass(frozen=True)
class Build:
    seconds: float
    cpu: float  # seconds, of it and its workers
    peak: float  # bytes


def build(runs: Path, site: Path) -> Build:
    """`leaderboard RUNS --out SITE` as a user types it."""
    command = [sys.executable, "run_bench.py", "leaderboard", str(runs), "--out", str(site)]
    began, peak, cpu, ended = time.perf_counter(), [0.0], {}, threading.Event()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def watch() -> None:
        while not ended.wait(0.1):
            known = list(_tree(process.pid))
            peak[0] = max(peak[0], sum(map(_memory, known)))
            cpu.update({one: _cpu(one) or cpu.get(one, 0.0) for one in known})

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"leaderboard_scale: the command failed with {code}")
    return Build(seconds, sum(cpu.values()), peak[0])


def _tree(process: int) -> Iterator[int]:
    """A process and all that it started."""
    yield process
    try:
        tasks = [path / "children" for path in Path(f"/proc/{process}/task").iterdir()]
        children = [int(child) for path in tasks for child in path.read_text().split()]
    except OSError:
        return  # it has ended
    for child in children:
        yield from _tree(child)


def _memory(process: int) -> float:
    """Bytes of a process, a shared page divided by those who share it; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _cpu(process: int) -> float:
    """CPU seconds of a process until now; 0 once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opened(page: Path) -> tuple[float, float] | None:
    """Seconds until a page in Chromium takes input, and until it has filtered; None without it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        tab = browser.new_page()
        loads, filters = [], []
        for _ in range(5):
            tab.goto(page.as_uri())
            loads.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            filters.append(tab.evaluate(_FILTERED))
        browser.close()
    return median(loads) / 1e3, median(filters) / 1e3


_FILTERED = """new Promise((done) => {
  const field = document.querySelector("input[type=search]"), began = performance.now();
  field.value = "fedavg";
  field.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def drawn_twice(repetitions: int) -> tuple[Spread, float]:
    """One chart of nine lines by matplotlib and by us: ratio of seconds, ratio of bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from fednlp.leaderboard.charts import POINTS, Chart, Series

    x = list(range(POINTS))
    lines = [[0.1 * number + 0.005 * value for value in x] for number in range(9)]
    sizes = {}

    def ours(_: int) -> Sample:
        watch = Stopwatch()
        series = [Series(str(n), f"method {n}", n, x, y) for n, y in enumerate(lines)]
        sizes["ours"] = len(Chart("metric by round", "round", "metric", series).svg())
        return watch.stop()

    def theirs(_: int) -> Sample:
        watch = Stopwatch()
        figure, axis = pyplot.subplots(figsize=(4, 2.7))
        for number, y in enumerate(lines):
            axis.plot(x, y, marker="o", markevery=13, label=f"method {number}")
        axis.set_xlabel("round")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg")
        pyplot.close(figure)
        sizes["theirs"] = len(buffer.getvalue())
        return watch.stop()

    samples = alternate({"ours": ours, "theirs": theirs}, repetitions, 1, "charts")
    return ratio(samples["theirs"], samples["ours"]), sizes["theirs"] / sizes["ours"]


def facts() -> dict[str, Any]:
    from fednlp.environment import processor

    return {"processor": processor(), "cores": os.cpu_count(), "python": sys.version.split()[0]}


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=1)
    options = parser.parse_args()
    count, rounds, more = SMOKE if options.smoke else (RUNS, ROUNDS, MORE)
    with tempfile.TemporaryDirectory() as place:
        runs, site = Path(place) / "runs", Path(place) / "site"
        runs.mkdir()
        plan = designs(rounds)
        made = 0
        for design in plan:
            write_pair(runs, design)
            made = sum(1 for _ in runs.iterdir()) if design.method == METHODS[-1] else made
            if made >= count - more:
                break
        show_progress("leaderboard_scale", 1, 4)
        first = build(runs, site)
        show_progress("leaderboard_scale", 2, 4)
        again = build(runs, site)
        show_progress("leaderboard_scale", 3, 4)
        for number, design in enumerate(islice(plan, more // 2)):
            write_pair(runs, replace(design, seed=100 + number))  # with a reference of its own
        grown = build(runs, site)
        show_progress("leaderboard_scale", 4, 4)
        pages = sorted(site.rglob("*.html"), key=lambda path: path.stat().st_size)
        folders = sum(1 for _ in runs.iterdir())
        size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
        overview = (site / "index.html").stat().st_size
        largest = pages[-1].stat().st_size
        browsed = opened(site / "index.html"), opened(pages[-1])
        kept = len(json.loads((site / ".fednlp-leaderboard.json").read_text())["files"])
    worst = max(first.peak, again.peak, grown.peak) / 1e6
    reached = first.seconds < LIMITS[0] and worst < LIMITS[1] and largest / 1e3 < LIMITS[2]
    report = Report("leaderboard_scale", "A leaderboard of 2,000 runs", facts())
    report.parts.append(
        f"Target: {LIMITS[0]:.0f} s, {LIMITS[1]:,} MB, no page over {LIMITS[2]:,} kB: "
        f"{'reached' if reached else 'NOT reached'}."
    )
    report.parts.append(
        f"{folders:,} run folders of {rounds} rounds; {len(pages):,} pages and {kept:,} files of "
        f"{size / 1e6:.0f} MB with the cache. The overview has {overview / 1e3:.0f} kB, the "
        f"largest page {largest / 1e3:.0f} kB."
    )
    rows = [
        [
            name,
            f"{one.seconds:.1f}",
            f"{one.cpu:.1f}",
            f"{one.peak / 1e6:.0f}",
            f"{one.cpu / first.cpu:.2f}",
        ]
        for name, one in (
            ("all runs, first", first),
            ("nothing new", again),
            (f"{more} runs more", grown),
        )
    ]
    report.parts.append(table(["build", "seconds", "CPU, s", "peak, MB", "of the first"], rows))
    for name, found in zip(("The overview", "The largest page"), browsed, strict=True):
        if found is not None:
            report.parts.append(
                f"{name} takes input in Chromium after {found[0]:.2f} s and shows what a filter "
                f"leaves after {found[1]:.2f} s (medians of 5)."
            )
    slower, larger = drawn_twice(3 if options.smoke else 20)
    report.parts.append(
        f"A chart of nine lines as SVG by matplotlib takes {slower} times as long as ours (median "
        f"and quartiles of ratios within turns) and is {larger:.1f} times as large."
    )
    report.publish(options.write)


if __name__ == "__main__":
    main()
