"""Delimited rows: quoting, line numbers, encodings, and going on after a broken row."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataError
from tasks.readers import csv_rows as csv_rows_module
from tasks.readers.csv_rows import MAX_VALUE, csv_rows


def rows(content, **options):
    if isinstance(content, str):
        content = content.encode()
    found = list(csv_rows(io.BytesIO(content), "f", **options))
    return [(where, str(row) if isinstance(row, DataError) else row) for where, row in found]


def test_rows_are_placed_by_their_first_line():
    text = '\ufeffa,b\r\n\r\n"x\ny ""z""",1\nlast,"2"'
    assert rows(text) == [
        ("f line 1", ["a", "b"]),
        ("f line 3", ['x\ny "z"', "1"]),
        ("f line 5", ["last", "2"]),
    ]


def test_without_quoting_a_quote_is_a_character():
    assert rows('"a\t1\nb"\t"2"\n', delimiter="\t", quoting=False) == [
        ("f line 1", ['"a', "1"]),
        ("f line 2", ['b"', '"2"']),
    ]


def test_other_encodings():
    assert rows("é,ÿ\n".encode("latin-1"), encoding="latin-1") == [("f line 1", ["é", "ÿ"])]
    assert rows(b"\xef\xbb\xbfa\n", encoding="latin-1") == [("f line 1", ["ï»¿a"])]
    assert rows("é€\n".encode("cp1252"), encoding="windows-1252") == [("f line 1", ["é€"])]


@pytest.mark.parametrize(("bad", "message"), [
    (b"\xff", "bytes that are not UTF-8"),
    (b"a\0", "a NUL byte"),
    (b'"a"b,1', "not CSV (',' expected after '\"')"),
    (b"a\rb", "a carriage return inside the row"),
    (b"a" * (9 * 2**20), "more than 8388608 bytes"),
])  # fmt: skip
def test_reading_goes_on_after_a_broken_row(bad, message):
    first, broken, last = rows(b"a,b\n" + bad + b"\nc,d\n")
    assert (first[1], last) == (["a", "b"], ("f line 3", ["c", "d"]))
    assert broken[0] == "f line 2" and message in broken[1] and "f line 2" in broken[1]


def test_a_quote_that_is_never_closed():
    for text in ('a\n"a\nb\n', 'a\n"a\nb', 'a\n"a,b"",c\n"", d'):
        with pytest.raises(DataError, match="f line 2: a quote that is not closed before the file"):
            rows(text)


def test_a_quote_that_is_closed_nowhere_near(monkeypatch):
    most = 1 << 16
    monkeypatch.setattr(csv_rows_module, "MAX_VALUE", most)
    before = csv.field_size_limit(most)
    try:
        found = rows('"a\n' + "b,c\n" * (most // 3))
    finally:
        csv.field_size_limit(before)
    assert f"a value of more than {most} characters" in found[0][1]
    assert "a quote that is not closed?" in found[0][1]
    swallowed = [row for _, row in found if isinstance(row, str)]
    assert len(found) == most // 3 + 1 and len(swallowed) > most // 5
    assert found[len(swallowed)][1] == ["b", "c"]


@pytest.mark.parametrize(("bad", "message"), [
    ('1,"a\n2,b\n3,c\n4,"d"\n', "',' expected after"),
    ('1,"a\n2,b\n3,c\n4",d,\n', "4 columns; expected 2 as in line 1"),
])  # fmt: skip
def test_a_bad_row_counts_every_line_that_it_took(bad, message):
    """A quote that another one closes much later: the lines between may have been rows."""
    found = rows(f"n,text\n{bad}5,e\n")
    assert [where for where, _ in found] == [f"f line {n}" for n in range(1, 7)]
    assert message in found[1][1] and found[5][1] == ["5", "e"]
    assert all("part of the row that is bad at f line 2" in row for _, row in found[2:5])


def test_line_ends_inside_quotes_stay_where_asked():
    table = b'a,"b\r\nc\n"\r\n"\r\n",\r\n'
    assert rows(table, ends=True) == [
        ("f line 1", ["a", "b\r\nc\n"]), ("f line 4", ["\r\n", ""]),
    ]  # fmt: skip


def test_a_value_may_be_as_long_as_a_line():
    """The `csv` module stops at 131,072 characters unless it is told otherwise."""
    csv.field_size_limit(131_072)
    long = "a" * 200_000
    assert rows(f'{long},1\n"{long}\n{long}",2\n') == [
        ("f line 1", [long, "1"]), ("f line 2", [f"{long}\n{long}", "2"]),
    ]  # fmt: skip
    csv.field_size_limit(2 * MAX_VALUE)  # somebody else's choice is not lowered
    rows("a\n")
    assert csv.field_size_limit(MAX_VALUE) == 2 * MAX_VALUE


@given(
    st.binary(max_size=200), st.booleans(), st.sampled_from(["utf-8", "latin-1", "windows-1252"])
)
def test_any_bytes(content, quoting, encoding):
    try:
        for where, _ in csv_rows(io.BytesIO(content), "f", ";", quoting, encoding):
            assert where.startswith("f line ")
    except DataError as error:
        assert "a quote that is not closed" in str(error)


TEXT = st.text(st.characters(blacklist_characters="\r\0", blacklist_categories=["Cs"]), max_size=9)


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=4)
    )
)
def test_reads_what_the_csv_module_writes(table):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    assert [row for _, row in rows(file.getvalue())] == table
