"""Any bytes, and damaged good files: a tagging reader gives IOB2 or `DataError`, nothing else."""

from __future__ import annotations

import bz2
import io
import tarfile
import zipfile

import pytest
from fuzzing import times
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reading import check_line
from test_gold_conll import DOCUMENT
from test_wikiner import TEXT

from tasks.errors import DataError
from tasks.readers import READERS
from tasks.schema import check_iob2

CONLL2003 = (
    "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\nGerman JJ I-NP I-MISC\n\n"
    "Bo NNP I-NP I-PER\nAda NNP I-NP B-PER\n\n"
)
WNUT17 = "@x\tO\nEmpire\tB-location\nState\tI-location\n\t\n#\tO\nDubbz\ufeff\tB-person\n\n"
BIOES = "# id 1\na S-PER\nb B-LOC\nc I-LOC\nd E-LOC\n\ne O\n"
CLIENTS = "ann a B-PER\nann b O\n\nbob c O\n"

LAYOUTS = {
    "conll2003": ("conll", {"separator": None, "columns": 4, "scheme": "iob1"}, CONLL2003),
    "wnut17": ("conll", {"document_marker": None}, WNUT17),
    "btc": ("conll", {"empty_word": "\ufffd"}, WNUT17 + "\tO\n \tO\n"),
    "wikiann": ("conll", {"token_prefix": "en:"}, "en:a\tB-PER\nen:b\tI-PER\n\nen:c\tO\n"),
    "bioes": ("conll", {"separator": " ", "scheme": "bioes", "comment": "# "}, BIOES),
    "far_column": ("conll", {"tag_column": 7, "token_column": -3}, WNUT17),
    "clients": ("conll", {"separator": " ", "token_column": 1, "client_column": 0}, CLIENTS),
    "gold_conll": ("gold_conll", {}, DOCUMENT),
    "wikiner": ("wikiner", {}, TEXT),
}
ALPHABET = st.sampled_from(
    [b"\n", b"\r", b"\t", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xe2\x80\xa8",
     b"O", b"B-PER", b"I-PER", b"E-PER", b"S-PER", b"I-", b"-", b"-DOCSTART-", b"# ", b"en:", b"|",
     b"a|NN|I-PER", b"(PER*", b"*)", b"*", b"(PER)", b"#begin document (d); part 000\n",
     b"#end document\n", b"d 0 0 w NN * - - - - (PER* -\n", b"d 0 0 w NN * - - - - * -\n", b"\x85",
     b"\x1c", b"\xed\xa0\x80", b"BZh9", b"\x1f\x8b\x08", b"PK\x03\x04"]
)  # fmt: skip
SEQUENCES = st.lists(ALPHABET, max_size=30).map(b"".join)


@st.composite
def mutations(draw, content):
    """A good file, of which some places are cut, doubled, or written over."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(content)))
        end = draw(st.integers(begin, min(len(content), begin + 40)))
        new = draw(st.one_of(ALPHABET, st.binary(max_size=4), st.just(content[begin:end] * 2)))
        content = content[:begin] + new + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def check(folder, layout, content):
    """Reads the bytes; what is yielded is a sentence in IOB2, or one line about a bad one."""
    name, options, _ = LAYOUTS[layout]
    reader = READERS[name]
    path = folder / layout
    if name == "gold_conll":
        path.mkdir(exist_ok=True)
        (path / "d.gold_conll").write_bytes(content)
    else:
        path.write_bytes(content)
    found = 0
    try:
        for record in reader.read(path, "train", reader.options(**options)):
            if isinstance(record, DataError):
                check_line(record)
                assert str(path) in str(record)
                continue
            where, row = record
            found += 1
            assert str(path) in where
            assert len(row["words"]) == len(row["tags"]) > 0 and all(row["words"])
            check_iob2(row["tags"], where)
    except DataError as error:
        check_line(error)
        assert str(path) in str(error)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_good_files_are_good(tmp_path, layout):
    good = LAYOUTS[layout][2].encode()
    assert check(tmp_path, layout, good) == {"far_column": 0, "btc": 3}.get(
        layout, 3 if layout == "gold_conll" else 2
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_bytes(tmp_path_factory, layout):
    folder = tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=times(400), deadline=None)
    @given(st.one_of(st.binary(max_size=200), SEQUENCES))
    @example(b"")
    @example(b"\x1c\n\xc2\xa0\n\x0b \x0c\n")
    @example(b"\xef\xbb\xbf")
    def run(content):
        check(folder, layout, content)

    run()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files(tmp_path_factory, layout):
    folder = tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=times(400), deadline=None)
    @given(mutations(LAYOUTS[layout][2].encode()))
    def run(content):
        check(folder, layout, content)

    run()


@pytest.mark.parametrize("layout", ["conll2003", "wikiner"])
def test_damaged_bz2(tmp_path_factory, layout):
    folder = tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=times(200), deadline=None)
    @given(mutations(bz2.compress(LAYOUTS[layout][2].encode())))
    def run(content):
        check(folder, layout, content)

    run()


def archive(kind, name, content):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(name, content)
    else:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tgz"])
@pytest.mark.parametrize(("reader", "options", "name", "text"), [
    ("gold_conll", {}, "bc/a.gold_conll", DOCUMENT),
    ("conll", {"patterns": {"train": "*_train.txt"}}, "x/wnut_train.txt", WNUT17),
])  # fmt: skip
def test_damaged_archives(tmp_path_factory, kind, reader, options, name, text):
    path = tmp_path_factory.mktemp("fuzz") / f"f.{kind}"
    whole = archive(kind, name, text.encode())

    def count(content):
        path.write_bytes(content)
        records = READERS[reader].read(path, "train", READERS[reader].options(**options))
        return sum(not isinstance(record, DataError) for record in records)

    @settings(max_examples=times(200), deadline=None)
    @given(mutations(whole))
    def run(content):
        try:
            count(content)
        except DataError as error:
            check_line(error)
            assert str(path) in str(error)

    assert count(whole) == (3 if reader == "gold_conll" else 2)
    run()
