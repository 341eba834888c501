"""What a suite shows while it runs: a live table on a terminal, few lines elsewhere."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from fednlp.jobs import view as view_module
from fednlp.jobs.view import View
from fednlp.jobs.work import Moved, Reporter, Said


def job(number, rounds=10, done=0):
    return SimpleNamespace(
        number=number, name=f"run {number}", done=done, work_left=100.0 * (1 - done / rounds),
        cost=SimpleNamespace(rounds=rounds, work=100.0),
    )  # fmt: skip


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(view_module.time, "monotonic", lambda: self.now)


def shown(view):
    console = Console(file=io.StringIO(), width=160)
    console.print(view.table())
    return console.file.getvalue()


def test_rounds_metric_and_time_left(monkeypatch):
    clock = Clock(monkeypatch)
    jobs = [job(0), job(1, done=5), job(2)]
    view = View(Console(file=io.StringIO()), "runs", jobs)
    view.begin(jobs[0])
    view.begin(jobs[1])
    assert "2 running, 1 waiting" in shown(view) and "left" not in shown(view)
    clock.now += 20
    view.move(jobs[0], Moved(2.5, 10, "validation 0.400"))
    view.move(jobs[1], Moved(6.0, 10, ""))
    text = shown(view)
    assert "run 0  round 2/10  validation 0.400  1 min 0 s left" in text
    assert "run 1  round 6/10" in text and "1 min 20 s left" in text  # not counting the first five
    assert "about 3 min 3 s left" not in text and "left" in text.splitlines()[-1]
    # 35 of 250 units in 20 s: 215 more take 123 s
    assert "0 done, 2 running, 1 waiting, about 2 min 3 s left" in text


def test_without_a_terminal_a_line_for_each_end_and_now_and_then(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    jobs = [job(0), job(1), job(2)]
    console = Console(file=io.StringIO(), width=160)
    with View(console, "runs", jobs) as view:
        view.begin(jobs[0])
        for step in range(1, 200):
            clock.now += 1
            view.move(jobs[0], Moved(step / 20, 10, f"validation {step / 1000:.3f}"))
        view.say(jobs[0], "one by one")
        view.end(jobs[0], "accuracy 0.500 on test")
        view.begin(jobs[1])
        view.fail(jobs[1], "no room", [jobs[2]])
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines if line.startswith("[")] == [
        "[1/3] run 0: accuracy 0.500 on test, 3 min 19 s"
    ]
    regular = [line for line in lines if line.startswith("runs:")]
    assert (
        len(regular) == 3 and "run 0, round 3/10, validation 0.060, 2 min 20 s left" in regular[0]
    )
    assert "run 0: one by one" in lines and len(lines) == 5
    assert capsys.readouterr().err == "error: run 1 (and 1 that need it): no room\n"


def test_on_a_terminal_it_is_live_and_leaves_the_lines(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    jobs = [job(0)]
    with View(console, "runs", jobs) as view:
        view.begin(jobs[0])
        view.move(jobs[0], Moved(3.0, 10, ""))
        view._live.refresh()
        view.end(jobs[0], "accuracy 0.500 on test")
    text = console.file.getvalue()
    assert "round 3/10" in text and "[1/1] run 0" in text


def test_reports_are_few_but_no_validation_is_lost(monkeypatch):
    from fednlp.jobs import work

    now, said = [0.0], []
    monkeypatch.setattr(work.time, "monotonic", lambda: now[0])
    with Reporter(said.append, "a run", 4, 0) as progress:
        for round in range(4):
            progress.round(round, 100)
            for _ in range(100):
                now[0] += 0.001
                progress.client_done()
            progress.metric(0.1 * round)
        progress.message("done")
    metrics = [one.metric for one in said if isinstance(one, Moved)]
    assert list(dict.fromkeys(metrics))[-4:] == [f"validation 0.{n}00" for n in range(4)]
    assert said[-1] == Said("done") and len(said) < 12
    assert [one.completed for one in said[:-1]][-1] == 4.0
