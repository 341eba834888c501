"""Names from run folders of strangers in all that `gap` and `plot` print and write."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from dataclasses import replace

import pytest
from harness import command

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.results.plots import _slug

FORMULA = '=HYPERLINK("http://x","y")'
PIPE = "+cmd|' /C calc'!A0"
MARKUP = "<script>alert(1)</script> | x | [y](javascript:1) $a_b$ [red]"
CONTROL = "\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2028\u200bx\r\n| y"
HOSTILE = [FORMULA, PIPE, MARKUP, CONTROL, "@SUM(1)", "＝1+1"]
FORMS = ["table", "markdown", "csv", "json"]


def written(tmp_path, names, seeds=2):
    """Two methods of one benchmark, of which one has the names given."""
    runs = tmp_path / "runs"
    runs.mkdir()
    shared = {key: names[key] for key in ("data", "model") if key in names}
    for seed in range(seeds):
        made = Made(rounds=3, seed=seed, names=shared)
        write_pair(runs, made)
        write_pair(runs, replace(made, method="FedProx", names=names))
    return runs


@pytest.fixture(params=HOSTILE)
def name(request):
    return request.param


@pytest.fixture
def runs(name, tmp_path):
    return written(tmp_path, dict.fromkeys(("data", "model", "method"), name))


@pytest.fixture(params=[[], ["--pairs"]], ids=["gap", "pairs"])
def extra(request):
    return request.param


def answer(runs, form, extra):
    found = command("gap", runs, *extra, "--format", form)
    assert found.code == 0, found
    return found


@pytest.mark.parametrize("form", FORMS)
def test_nothing_moves_the_cursor_or_turns_the_line(runs, form, extra):
    found = answer(runs, form, extra)
    for text in (found.out, found.err):
        assert all(c.isprintable() or c == "\n" for c in text), form


def test_no_cell_of_a_csv_is_a_formula(runs, extra):
    rows = list(csv.DictReader(io.StringIO(answer(runs, "csv", extra).out)))
    assert len(rows) == (1 if extra else 2)
    for row in rows:
        for key, cell in row.items():
            assert isinstance(cell, str), key  # as many cells as the head has
            begins = re.match(r"[=+\-@＝＋－＠\t\r]", cell)
            assert not begins or re.fullmatch(r"[-+]?[\d.e-]+", cell), (key, cell)


def test_numbers_of_a_csv_are_those_of_the_json(runs, extra):
    rows = csv.DictReader(io.StringIO(answer(runs, "csv", extra).out))
    for row, known in zip(rows, json.loads(answer(runs, "json", extra).out), strict=True):
        assert list(row) == list(known)
        for key, value in known.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert float(row[key]) == value, key
            elif value is None:
                assert row[key] == "", key


def test_markdown_has_no_mark_up_of_others(runs, extra):
    text = answer(runs, "markdown", extra).out
    assert "<" not in text and not re.search(r"(?<!\\)\]\(|(?<!\\)\$", text)
    for table in text.split("\n\n"):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1, table
    if not extra:
        assert len([line for line in text.splitlines() if line.startswith("|")]) == 8


def test_plots_have_plain_names(runs):
    found = command("plot", runs)
    assert found.code == 0 and all(c.isprintable() or c == "\n" for c in found.out)
    files = sorted((runs / "plots").iterdir())
    assert [file.suffix for file in files] == [".png", ".svg"]
    assert all(re.match(r"[A-Za-z0-9]", file.name) for file in files)
    assert "<script" not in files[1].read_text()


def test_names_of_plots():
    assert _slug("=HYPERLINK(1), 2") == "HYPERLINK-1-2" and _slug("..a=b.") == "a=b"


@pytest.mark.parametrize("form", FORMS)
def test_a_name_of_two_megabytes_is_cut(tmp_path, form, extra):
    runs = written(tmp_path, dict.fromkeys(("data", "model", "method"), "x" * 2_000_000), seeds=1)
    assert len(answer(runs, form, extra).out) < 60_000


def test_a_plot_of_a_name_of_two_megabytes(tmp_path):
    runs = written(tmp_path, dict.fromkeys(("data", "method"), "x y" * 700_000), seeds=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # no room for the axes
        assert command("plot", runs).code == 0
    (picture,) = (runs / "plots").glob("*.svg")
    assert picture.stat().st_size < 3_000_000


def test_the_line_of_a_skipped_folder_is_one_line(tmp_path):
    runs = written(tmp_path, {})
    bad = runs / "a\x1b[2Jb\nc"
    bad.mkdir()
    (bad / "result.json").write_text("[]")
    (line,) = command("gap", runs).err.splitlines()
    assert line.startswith("skipped: ") and r"a\x1b[2Jb c" in line
