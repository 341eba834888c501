"""What a leaderboard makes of damaged, hostile, forged and old run folders."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from dataclasses import replace

import pytest
from harness import command
from site_pages import BASE, forged, pages, two_methods

from benchmarks.synthetic_runs import write_pair
from fednlp.leaderboard.build import board_of, build
from fednlp.results.schema import Result

EVIL = '=cmd|"/../../<script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</title>'


@pytest.fixture
def runs(tmp_path):
    return two_methods(tmp_path / "runs")


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
    forged(path, files={n: hashlib.sha256((path / n).read_bytes()).hexdigest() for n in names})
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


HUGE = ["of clients", "of a learning rate", "of a split"]  # no float is that large


@pytest.mark.parametrize("what", ["metric", "count", "other metric", "negative", *HUGE])
def test_forged_numbers_that_no_run_can_have_are_named_and_stop_nothing(runs, tmp_path, what):

    kind = "FedAvg" if what in HUGE else "centralized"
    path = sorted(p for p in runs.iterdir() if kind in p.name)[0]
    result = Result.model_validate_json((path / "result.json").read_text())
    score = result.selected
    if what in ("metric", "negative"):
        value = 1e308 if what == "metric" else -0.1
        test = {name: value for name in score.test}
        forged(path, selected=score.model_copy(update={"test": test}))
    elif what == "of clients":
        clients = result.clients.model_copy(update={"scored": 10**400})
        forged(path, clients=clients)
    elif what == "of a learning rate":
        forged(path, client={**result.client, "lr": 10**400})
    elif what == "of a split":
        forged(path, partition={**result.partition, "achieved": {"js_distance": 10**400}})
    elif what == "count":
        forged(path, costs=result.costs.model_copy(update={"peak_memory_bytes": 10**400}))
    else:
        forged(path, primary_metric="second_metric")
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
