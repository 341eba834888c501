"""From run folders to pages, downloads and the terminal: the numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from harness import command
from site_pages import BASE, forged, pages, two_methods

from benchmarks.synthetic_runs import write_pair
from fednlp.leaderboard.build import board_of, build
from fednlp.leaderboard.digest import BoardRun, folder_key, read_digest
from fednlp.leaderboard.site import MARKER
from fednlp.leaderboard.spread import spread
from fednlp.results import tables
from fednlp.results.floor import FLOOR_MARK, FLOOR_NOTE
from fednlp.results.gap import gaps
from fednlp.results.reading import load_runs
from fednlp.results.schema import Result, Trial, Tuning


@pytest.fixture
def runs(tmp_path):
    return two_methods(tmp_path / "runs")


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
        forged(folder, selected=score.model_copy(update={"test": score.test | {"accuracy": 0.2}}))
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
        forged(folder, tuned=True, tuning=_tuning())
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
    forged(path, tuned=True, tuning=_tuning().model_copy(update=changes))
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
        forged(path, selected=score.model_copy(update={"test_stderr": error}))
    built = build([runs], tmp_path / "site")
    (benchmark,) = [b for b in built.board.benchmarks if "topics" in b.name]
    page = (tmp_path / f"site/benchmark/{benchmark.key}.html").read_text()
    cells = re.findall(r'data-l="Test error"(?: data-v="([\d.]+)")?>([\d.]+)<', page)
    assert [text for value, text in cells if value] == [
        f"{n.test_stderr:.3f}" for n in benchmark.lines
    ]
    assert tuple(text for _, text in cells[3:6]) == ("0.032", "0.021", "0.043")
    assert "error over test examples</dt>" not in page.split("<table")[0]


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
