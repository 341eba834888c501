"""From run folders to pages and tables: numbers, bad input, hostile names."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from harness import command

from benchmarks.synthetic_runs import Made, write_pair, write_run
from fednlp.leaderboard import known_folders
from fednlp.leaderboard.build import board_of, build
from fednlp.leaderboard.cache import NAME
from fednlp.leaderboard.digest import BoardRun, folder_key, read_digest
from fednlp.leaderboard.site import MARKER
from fednlp.leaderboard.spread import spread
from fednlp.results import tables
from fednlp.results.floor import FLOOR_MARK, FLOOR_NOTE
from fednlp.results.gap import gaps
from fednlp.results.reading import load_runs
from fednlp.results.schema import Result, Trial, Tuning

BASE = Made(rounds=5)
EVIL = '=cmd|"/../../<script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</title>'


@pytest.fixture
def runs(tmp_path):
    """Two methods on two tasks, two seeds."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for task in ("text_classification", "sequence_tagging"):
        for seed in (0, 1):
            write_pair(folder, replace(BASE, task=task, seed=seed, method="FedAvg", quality=0.8))
            write_pair(folder, replace(BASE, task=task, seed=seed, method="FedProx", quality=0.4))
    return folder


class _Tags(HTMLParser):
    """Tags, attributes and text of a page; raises where a tag is not closed."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def pages(site):
    return {str(p.relative_to(site)): _Tags(p.read_text()) for p in sorted(site.rglob("*.html"))}


# numbers ----------------------------------------------------------------------------------------


def test_a_digest_gives_the_gap_table_that_the_folders_give(runs):
    plain = gaps(load_runs(runs))
    board = board_of([runs])
    mine = {line.gap.benchmark + line.gap.method: line.gap for line in board.lines}
    assert len(mine) == len(plain) == 4
    for gap in plain:
        same = mine[gap.benchmark + gap.method]
        assert replace(same, pairs=()) == replace(gap, pairs=())


def test_a_digest_comes_back_from_the_cache_as_it_went(runs):
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    run = read_digest(path, path, "runs", folder_key(path))
    again = BoardRun.from_json(json.loads(json.dumps(run.as_json())), path, "runs", run.key)
    assert again == run
    assert len(run.quantiles) == 9 and run.quantiles == sorted(run.quantiles)


def test_every_changed_byte_of_what_is_read_changes_the_key(runs):
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    keys = {folder_key(path)}
    for name in ("result.json", "rounds.jsonl", "clients.csv", "config.yaml", "environment.json"):
        data = bytearray((path / name).read_bytes())
        data[len(data) // 2] ^= 1
        (path / name).write_bytes(data)
        keys.add(folder_key(path))
    (path / "clients.csv").unlink()
    keys.add(folder_key(path))
    assert len(keys) == 7


def test_lines_go_from_the_smallest_gap_on_and_few_seeds_claim_nothing(runs):
    for benchmark in board_of([runs]).benchmarks:
        assert [line.algorithm for line in benchmark.lines] == ["FedAvg", "FedProx"]
        assert [str(line.rank) for line in benchmark.lines] == ["1-2", "1-2"]
        assert not any(pair.shown for pair in benchmark.comparisons)


def test_from_six_seeds_a_clear_difference_is_a_rank(tmp_path):
    for seed in range(6):
        for method, quality in (("FedAvg", 0.9), ("FedProx", 0.2)):
            write_pair(tmp_path, replace(BASE, seed=seed, method=method, quality=quality))
    (benchmark,) = board_of([tmp_path]).benchmarks
    assert [(line.algorithm, str(line.rank)) for line in benchmark.lines] == [
        ("FedAvg", "1"), ("FedProx", "2"),
    ]  # fmt: skip


def test_the_downloads_hold_the_numbers_of_the_gap_table(runs, tmp_path):
    built = build([runs], tmp_path / "site")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "site/data/all.csv").read_text())))
    lines = json.loads((tmp_path / "site/data/all.json").read_text())["lines"]
    by_key = {line.key: line for line in built.board.lines}
    assert len(rows) == len(lines) == len(by_key) == 4
    for row, told in zip(rows, lines, strict=True):
        line = by_key[row["line_key"]]
        assert float(row["gap"]) == told["gap"] == line.gap.gap.mean
        assert told["gap_by_seed"] == {str(s): g for s, g in line.gap_by_seed.items()}
        assert row["runs"].split() == [run.result.id for run in line.runs]
    latex = (tmp_path / "site/data/all.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 2 and latex.count(r"\end{table}") == 2
    assert (tmp_path / "site/data/all.md").read_text().count("| FedProx") == 2


def test_the_pages_say_the_numbers_without_a_script(runs, tmp_path):
    built = build([runs], tmp_path / "site")
    found = pages(tmp_path / "site")
    assert len(found) == 1 + 2 + 12
    for benchmark in built.board.benchmarks:
        page = "".join(found[f"benchmark/{benchmark.key}.html"].text).replace("−", "-")
        overview = "".join(found["index.html"].text).replace("−", "-")
        for line in benchmark.lines:
            assert f"{line.gap.gap.mean:+.3f}" in page and f"{line.gap.gap.mean:+.3f}" in overview
            # the head tells test scores, the charts are on validation
            assert "best on validation: 0." in page and "floor on validation: 0." in page
            assert all(f"{gap:+.3f}" in page for gap in line.gap_by_seed.values())


def test_every_link_of_every_page_leads_to_a_file_of_the_site(runs, tmp_path):
    site = tmp_path / "site"
    build([runs], site)
    for name, page in pages(site).items():
        anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        for tag, attrs in page.tags:
            link = attrs.get("href") or attrs.get("src")
            if link is None or link == "data:,":
                continue
            assert not re.match(r"[a-z]+:|/", link), f"{name}: <{tag}> leads outside: {link}"
            file, _, anchor = link.partition("#")
            assert file == "" or ((site / name).parent / file).resolve().is_file(), (
                f"{name}: {link}"
            )
            assert not anchor or file or anchor in anchors


def test_tables_have_captions_and_heads_have_scopes(runs, tmp_path):
    build([runs], tmp_path / "site")
    for name, page in pages(tmp_path / "site").items():
        tags = [tag for tag, _ in page.tags]
        assert tags.count("table") == tags.count("caption"), name
        assert all("scope" in attrs for tag, attrs in page.tags if tag == "th"), name
        assert tags.count("h1") == 1
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), name


def test_a_page_with_no_room_tells_the_rest_in_short(runs, tmp_path, monkeypatch):
    from fednlp.leaderboard import pages as rendered

    monkeypatch.setattr(rendered, "LARGEST", 1)
    built = build([runs], tmp_path / "site")
    overview = (tmp_path / "site/index.html").read_text()
    assert overview.count('class="entry"') == 1 and "More benchmarks" in overview
    for benchmark in built.board.benchmarks:
        assert f"benchmark/{benchmark.key}.html" in overview
        page = (tmp_path / f"site/benchmark/{benchmark.key}.html").read_text()
        assert page.count('<tbody class="line">') == 1
        last = benchmark.lines[1]
        (told,) = re.findall(rf"<li>{re.escape(last.method)}: (.*?)</li>", page)
        assert f"{last.gap.gap.mean:+.3f}" in told.replace("−", "-")
        assert all(f"run/{run.result.id[:24]}.html" in told for run in last.runs)


def test_a_score_that_does_not_beat_the_floor_is_marked_everywhere(runs, tmp_path):
    for folder in (f for f in runs.iterdir() if "topics-FedProx" in f.name):
        score = Result.model_validate_json((folder / "result.json").read_text()).selected
        _forged(folder, selected=score.model_copy(update={"test": score.test | {"accuracy": 0.2}}))
    built = build([runs], tmp_path / "site")
    (line,) = [line for line in built.board.lines if line.gap.below_floor]
    assert (line.gap.federated, line.gap.floor, line.algorithm) == (0.2, 0.2, "FedProx")
    files = [p for p in (tmp_path / "site").rglob("*.*") if p.suffix in (".html", ".md", ".tex")]
    site = {p.relative_to(tmp_path / "site").as_posix(): p.read_text() for p in files}
    marked = {name for name, text in site.items() if FLOOR_MARK in text}
    (key,) = [b.key for b in built.board.benchmarks if line in b.lines]
    assert marked == {
        "index.html", f"benchmark/{key}.html", *(f"run/{r.result.id[:24]}.html" for r in line.runs),
        *(f"data/{name}.{form}" for name in ("all", key) for form in ("md", "tex")),
    }  # fmt: skip
    assert all(FLOOR_NOTE in site[name] for name in marked)
    assert site[f"benchmark/{key}.html"].count(f">{FLOOR_MARK}<") == 3  # the line and its two seeds
    rows = csv.DictReader(io.StringIO((tmp_path / "site/data/all.csv").read_text()))
    assert [r["above_floor"] for r in rows].count("False") == 1
    for answer in (command("leaderboard", runs), command("gap", runs)):
        assert answer.out.count(f"0.200, {FLOOR_MARK}") == 1 and FLOOR_NOTE in answer.out
    marked_down = tables.text(gaps(load_runs(runs)), "markdown")
    assert marked_down.count(FLOOR_MARK) == 1 and FLOOR_NOTE in marked_down


def _tuning():
    trials = [Trial(values={"client.lr": 10.0**-n}, validation=0.5) for n in (2, 3)]
    return Tuning(seeds=[100], rounds=3, trials=trials, chosen=0, edges=["client.lr"], tied=0)


def test_the_budget_of_a_search_is_told(runs, tmp_path):
    for folder in runs.iterdir():
        _forged(folder, tuned=True, tuning=_tuning())
    built = build([runs], tmp_path / "site")
    budget = "2 trials of 3 rounds with seed 100"
    assert {line.tuning for line in built.board.lines} == {f"tuned, {budget}"}
    page = (tmp_path / f"site/benchmark/{built.board.benchmarks[0].key}.html").read_text()
    assert f"Tuned on validation: every method and the reference in {budget}." in page
    # the page is of one benchmark: its description is not told again
    assert "At the edge of what was tried: FedAvg [adamw 0.001], client.lr 0.01; " in page
    notes = tables.footnotes([line.gap for line in built.board.lines])
    edges = [note for note in notes if "At the edge" in note]
    assert len(edges) == 2 and all("topics" in e or "events" in e for e in edges)
    assert f"tuned, {budget}" in (tmp_path / "site/index.html").read_text()


@pytest.mark.parametrize("changes", [{"chosen": 2}, {"chosen": -1}, {"edges": ["other"]}])
def test_a_search_without_the_trial_it_chose_is_named(runs, changes):
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    _forged(path, tuned=True, tuning=_tuning().model_copy(update=changes))
    (problem,) = board_of([runs]).problems
    assert path.name in problem and "the trial that it chose" in problem


@pytest.mark.parametrize("seeds", [1, 2, 10])
def test_a_line_says_its_intervals_or_from_how_many_seeds_there_is_one(tmp_path, seeds):
    for seed in range(seeds):
        write_pair(tmp_path, replace(BASE, seed=seed))
    built = build([tmp_path], tmp_path / "site")
    (line,) = built.board.lines
    told, numbers = dict(spread(line)), line.gap_summary
    few = "none: 1 seed, needs 2" if seeds == 1 else f"none: {seeds} seeds, needs 10"
    ends = numbers.t_interval, numbers.bootstrap_interval
    texts = [f"[{e[0]:+.3f}, {e[1]:+.3f}]" if e else few for e in ends]
    if seeds == 1:
        texts[1] = "none: 1 seed, needs 10"
    assert list(told.values()) == [
        f"{numbers.mean:+.3f}",
        few if seeds == 1 else f"{numbers.std:.3f}",
        *texts,
        f"{line.test_stderr:.3f} (score of one run)",
    ]
    assert [e is not None for e in ends] == [seeds >= 2, seeds >= 10]
    page = (tmp_path / f"site/benchmark/{built.board.benchmarks[0].key}.html").read_text()
    assert all(f"<dt>{name}</dt><dd>{text}</dd>" in page for name, text in told.items())


def test_every_line_has_its_own_error_over_test_examples(runs, tmp_path):
    (folder, other) = sorted(f for f in runs.iterdir() if "topics-FedProx" in f.name)
    for path, error in ((folder, 0.021), (other, 0.043)):
        score = Result.model_validate_json((path / "result.json").read_text()).selected
        _forged(path, selected=score.model_copy(update={"test_stderr": error}))
    built = build([runs], tmp_path / "site")
    (benchmark,) = [b for b in built.board.benchmarks if "topics" in b.name]
    page = (tmp_path / f"site/benchmark/{benchmark.key}.html").read_text()
    cells = re.findall(r'data-l="Test error"(?: data-v="([\d.]+)")?>([\d.]+)<', page)
    assert [text for value, text in cells if value] == [
        f"{n.test_stderr:.3f}" for n in benchmark.lines
    ]
    assert tuple(text for _, text in cells[3:6]) == ("0.032", "0.021", "0.043")
    assert "error over test examples</dt>" not in page.split("<table")[0]


# building again ---------------------------------------------------------------------------------


def test_a_second_build_reads_no_folder_and_a_new_run_only_itself(runs, tmp_path):
    site = tmp_path / "site"
    assert build([runs], site).read == 12
    before = {p: p.read_bytes() for p in site.rglob("*") if p.is_file() and p.name != NAME}
    again = build([runs], site)
    assert (again.read, again.removed) == (0, 0) and again.kept == 24
    assert before == {p: p.read_bytes() for p in before}
    write_run(runs, replace(BASE, seed=9))
    assert build([runs], site).read == 1


@pytest.fixture
def hashed(monkeypatch):
    """The folders that are hashed."""
    found = []

    def counted(folder):
        found.append(folder.name)
        return folder_key(folder)

    monkeypatch.setattr(known_folders, "folder_key", counted)
    return found


def test_files_that_are_as_they_were_are_not_hashed_again(runs, tmp_path, hashed, monkeypatch):
    site = tmp_path / "site"
    later = time.time_ns() + 2 * known_folders.SETTLED
    monkeypatch.setattr(known_folders, "time_ns", lambda: later)
    assert build([runs], site).read == len(hashed) == 12
    hashed.clear()
    assert build([runs], site).read == len(hashed) == 0
    first, second, third, *_ = sorted(runs.iterdir())
    before = (first / "config.yaml").stat()
    with open(first / "config.yaml", "r+b") as stream:  # in place, as long, with its old mtime
        stream.write(b"#")
    os.utime(first / "config.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy2(second / "config.yaml", tmp_path / "other")
    os.replace(tmp_path / "other", second / "config.yaml")  # another file with the same content
    (third / "environment.json").unlink()
    assert build([runs], site).read == 2 and hashed == [first.name, second.name, third.name]
    monkeypatch.setattr(known_folders, "VERSION", "another form of digests")
    hashed.clear()
    build([runs], site)
    assert len(hashed) == 12


def test_a_change_within_the_tick_of_the_first_hash_is_seen(runs, tmp_path, hashed, monkeypatch):
    states = {}  # a clock that stands still: the system tells the same before and after the change
    real = known_folders._state
    monkeypatch.setattr(known_folders, "_state", lambda p: states.setdefault(p, real(p)))
    build([runs], tmp_path / "site")
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    with open(path / "environment.json", "r+b") as stream:
        stream.write(b"{")
    hashed.clear()
    build([runs], tmp_path / "site")
    assert len(hashed) == 12
    page = next((tmp_path / "site/run").glob(f"{path.name[-12:]}*.html")).read_text()
    assert "does not hold environments" in page


def test_pages_of_runs_that_are_gone_go(runs, tmp_path):
    site = tmp_path / "site"
    build([runs], site)
    gone = next(p for p in runs.iterdir() if "FedProx" in p.name)
    shutil.rmtree(gone)
    assert build([runs], site).removed == 2
    assert sum(1 for _ in (site / "run").glob("*.html")) == 11


@pytest.mark.parametrize("damage", ["rubbish", "of another program"])
def test_a_cache_that_cannot_be_read_is_made_again(runs, tmp_path, damage):
    import sqlite3

    site = tmp_path / "site"
    build([runs], site)
    if damage == "rubbish":
        (site / NAME).write_bytes(b"not a database" * 1000)
    else:
        with sqlite3.connect(site / NAME) as database:
            database.execute("UPDATE digests SET content = x'00'")
    assert build([runs], site).read == 12
    assert build([runs], site).read == 0


# bad input --------------------------------------------------------------------------------------


def test_what_is_no_whole_run_is_named_and_the_rest_is_built(runs, tmp_path):
    names = sorted(p for p in runs.iterdir() if "FedProx" in p.name)
    newer, nan, half, missing = names
    data = json.loads((newer / "result.json").read_text())
    (newer / "result.json").write_text(json.dumps({**data, "schema_version": 99}))
    text = (nan / "result.json").read_text()
    (nan / "result.json").write_text(re.sub(r'"test_stderr": [\d.]+', '"test_stderr": NaN', text))
    (half / "result.json").unlink()
    (missing / "rounds.jsonl").unlink()
    answer = command("leaderboard", runs, "--out", tmp_path / "site")
    assert answer.code == 0
    told = answer.err.splitlines()
    for path, words in ((newer, "schema version 99"), (nan, "NaN"), (half, "not finished"),
                        (missing, "rounds.jsonl")):  # fmt: skip
        assert [line for line in told if path.name in line and words in line], (words, told)
    overview = (tmp_path / "site/index.html").read_text()
    assert all(path.name in overview for path in names)
    assert overview.count("FedAvg") and "schema version 99" in overview


def test_files_that_no_table_is_made_from_may_be_missing_or_odd(runs, tmp_path):
    paths = sorted(p for p in runs.iterdir() if "centralized" not in p.name)
    (paths[0] / "config.yaml").unlink()
    (paths[1] / "environment.json").write_text('{"not": 1}')
    (paths[2] / "clients.csv").write_text("client,score\n1,nan\n")
    (paths[3] / "config.yaml").write_bytes(b"\xff" * 100_000)
    built = build([runs], tmp_path / "site")
    assert len(built.board.lines) == 4 and not built.board.problems
    everything = "".join(p.read_text() for p in (tmp_path / "site/run").glob("*.html"))
    for note in ("config.yaml is missing", "does not hold environments", "scores of clients",
                 "is cut after"):  # fmt: skip
        assert note in everything, note


def test_a_file_that_the_result_has_a_sum_of_may_not_be_missing(runs, tmp_path):
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    (path / "predictions.parquet").write_bytes(b"scores")
    (path / "partition.npz").write_bytes(b"clients")
    names = ("clients.csv", "config.yaml", "environment.json", "predictions.parquet")
    _forged(path, files={n: hashlib.sha256((path / n).read_bytes()).hexdigest() for n in names})
    site = tmp_path / "site"
    assert not build([runs], site).board.problems
    for name in (*names, "partition.npz", "identity.json", "rounds.jsonl"):
        data = (path / name).read_bytes()
        (path / name).unlink()
        board = build([runs], site).board  # with the cache of the whole folder
        (problem,) = (told for told in board.problems if path.name in told)
        assert f"{path.name}/{name}" in problem, problem
        assert path.name not in {run.path.name for run in board.runs}
        (path / name).write_bytes(data)
    assert not build([runs], site).board.problems


def test_hostile_names_are_text_everywhere(tmp_path):
    runs, site = tmp_path / "runs", tmp_path / "site"
    runs.mkdir()
    names = {"data": EVIL, "model": EVIL + "\u202e\x00" * 5, "method": EVIL * 300}
    write_pair(runs, replace(BASE, names=names))
    write_pair(runs, replace(BASE, seed=1, names=names))
    inside = runs / f"x{EVIL.replace('/', '_')[:60]}"
    inside.mkdir()
    (inside / "result.json").write_text("{}")
    answer = command("leaderboard", runs, "--out", site)
    assert answer.code == 0 and "no such file" in answer.err
    for name, page in pages(site).items():
        tags = [tag for tag, _ in page.tags]
        assert "img" not in tags and tags.count("script") == 1, name
        assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs), name
        text = "".join(page.text)
        assert "<script>alert(1)</script>" in text or "run/" in name, name
        assert "49" not in re.findall(r"\{\{.*?\}\}|=cmd\|.{0,80}", text), name
        assert "\u202e" not in text and "\x00" not in text
        assert max(map(len, page.text)) < 61_000
    rows = list(csv.reader(io.StringIO((site / "data/all.csv").read_text())))
    assert not [cell for row in rows for cell in row if re.match(r"[=+@\t\r]|-(?![\d.])", cell)]
    outside = {p.name for p in tmp_path.iterdir()} | {p.name for p in tmp_path.parent.iterdir()}
    assert outside.isdisjoint({"victim"}) and {p.name for p in tmp_path.iterdir()} == {
        "runs",
        "site",
    }
    for path in site.rglob("*"):
        assert re.fullmatch(r"[\w.-]+", path.name), path


def test_a_place_that_is_not_ours_is_one_line(runs, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("")
    line = command("leaderboard", runs, "--out", tmp_path / "home").one_line()
    assert "not a site of ours" in line
    assert command("leaderboard", runs, "--out", runs).one_line().count("not a site of ours")
    assert "no such directory" in command("leaderboard", tmp_path / "none").one_line()
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["letter.txt"]


def test_a_name_of_several_lines_is_one_line_of_every_download(tmp_path):
    names = dict.fromkeys(("data", "model", "method"), "one\n| two |\r\nthree\x1b[2J\u2028& four")
    write_pair(tmp_path / "runs", replace(BASE, names=names))
    build([tmp_path / "runs"], tmp_path / "site")
    texts = {
        form: (tmp_path / f"site/data/all.{form}").read_text() for form in ("csv", "md", "tex")
    }
    assert [len(texts[form].splitlines()) for form in ("csv", "md", "tex")] == [2, 7, 11]
    assert not any(c in text for text in texts.values() for c in "\x1b\r\u2028")
    cells = [re.split(r"(?<!\\)\|", row) for row in texts["md"].splitlines() if row[:1] == "|"]
    assert {len(row) for row in cells} == {10}
    answer = command("leaderboard", tmp_path / "runs")
    assert "\x1b" not in answer.out and len(answer.out.splitlines()) < 20


# the terminal -----------------------------------------------------------------------------------


def test_the_terminal_shows_ranks_gaps_and_costs(runs, monkeypatch):
    answer = command("leaderboard", runs)
    assert answer.code == 0
    lines = [line for line in answer.out.splitlines() if " 1–2 " in line]
    assert len(lines) == 4 and all("adamw" in line for line in lines)
    assert "Fewer than 6 seeds" in answer.out and "untuned" in answer.out


def test_a_real_run_is_made_again_from_its_page(small_data, tmp_path):
    from harness import written

    written(tmp_path, a=small_data())
    assert command("run", tmp_path / "a.yaml", "--out", tmp_path / "runs").code == 0
    build([tmp_path / "runs"], tmp_path / "site")
    (federated,) = [p for p in (tmp_path / "site/run").glob("*.html")
                    if "Centralized reference, seed" not in p.read_text()]  # fmt: skip
    assert f"run {federated.stem}.yaml --out runs" in federated.read_text()
    again = command("run", federated.with_suffix(".yaml"), "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert {p.name for p in (tmp_path / "again").iterdir() if p.is_dir()} == {
        p.name for p in (tmp_path / "runs").iterdir() if p.is_dir()
    }
    assert MARKER in {p.name for p in (tmp_path / "site").iterdir()}


def _forged(path, **changes):
    """The folder with another result, its checksum made again."""
    file = path / "result.json"
    result = Result.model_validate_json(file.read_text())
    file.write_bytes(result.model_copy(update=changes).as_json())


HUGE = ["of clients", "of a learning rate", "of a split"]  # no float is that large


@pytest.mark.parametrize("what", ["metric", "count", "other metric", "negative", *HUGE])
def test_forged_numbers_that_no_run_can_have_are_named_and_stop_nothing(runs, tmp_path, what):
    from fednlp.results.schema import Result

    kind = "FedAvg" if what in HUGE else "centralized"
    path = sorted(p for p in runs.iterdir() if kind in p.name)[0]
    result = Result.model_validate_json((path / "result.json").read_text())
    score = result.selected
    if what in ("metric", "negative"):
        value = 1e308 if what == "metric" else -0.1
        test = {name: value for name in score.test}
        _forged(path, selected=score.model_copy(update={"test": test}))
    elif what == "of clients":
        clients = result.clients.model_copy(update={"scored": 10**400})
        _forged(path, clients=clients)
    elif what == "of a learning rate":
        _forged(path, client={**result.client, "lr": 10**400})
    elif what == "of a split":
        _forged(path, partition={**result.partition, "achieved": {"js_distance": 10**400}})
    elif what == "count":
        _forged(path, costs=result.costs.model_copy(update={"peak_memory_bytes": 10**400}))
    else:
        _forged(path, primary_metric="second_metric")
    built = build([runs], tmp_path / "site")
    assert any(path.name in problem or "reference" in problem for problem in built.board.problems)
    lost = 1 if what in HUGE else 2  # a reference is that of two
    assert sum(len(line.gap.seeds) for line in built.board.lines) == 8 - lost


def test_results_that_are_older_than_a_field_are_read(runs):
    """Their checksum does not cover what was not there."""
    for folder in runs.iterdir():
        old = json.loads((folder / "result.json").read_text())
        assert old.pop("files") == {} and old.pop("tuning") is None
        del old["checksum"]
        whole = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
        (folder / "result.json").write_text(json.dumps({**old, "checksum": whole}))
    board = board_of([runs])
    assert len(board.runs) == 12 and not board.problems
