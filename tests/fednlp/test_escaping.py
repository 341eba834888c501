"""Names of strangers in each kind of file."""

from __future__ import annotations

import csv
import io

import pytest

from fednlp.results.escaping import csv_cell, latex, markdown, shown


def test_a_name_is_one_line_without_control_or_direction_characters():
    assert shown("a\nb\tc") == "a b c"
    assert shown("a\x1b[31mb\u202eevil\u200b") == "a\ufffd[31mb\ufffdevil\ufffd"
    assert shown("Größe 数据 α=0.1") == "Größe 数据 α=0.1"
    assert len(shown("x" * 10_000)) == 160 and shown("x" * 10_000).endswith("…")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "＝"])
def test_a_text_that_begins_a_formula_gets_an_apostrophe(start):
    cell = csv_cell(start + 'HYPERLINK("x")')
    stream = io.StringIO()
    csv.writer(stream).writerow([cell])
    (row,) = csv.reader(io.StringIO(stream.getvalue()))
    assert row[0].startswith("'") and row[0].endswith('HYPERLINK("x")')


def test_numbers_of_a_csv_stay_numbers():
    assert csv_cell(-0.5) == -0.5 and csv_cell(None) is None and csv_cell("FedAvg") == "FedAvg"


def test_latex_signs_are_text():
    assert latex(r"50%_\$&#{}~^") == (
        r"50\%\_\textbackslash{}\$\&\#\{\}\textasciitilde{}\textasciicircum{}"
    )
    assert latex("−0.1 ± 0.2") == r"$-$0.1 $\pm$ 0.2"


def test_markdown_has_no_mark_up_no_html_and_no_new_column():
    assert markdown("a|b") == r"a\|b"
    assert markdown("<img src=x>") == r"&lt;img src=x&gt;"
    assert markdown("[x](javascript:1)") == r"\[x\]\(javascript:1\)"
    assert "\n" not in markdown("a\n| b |")
