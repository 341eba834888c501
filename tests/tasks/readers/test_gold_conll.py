"""OntoNotes columns: brackets, documents, the tree of files, and every broken line."""

from __future__ import annotations

import gzip

import pytest
from fuzzing import times
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import good, outcomes

from tasks.errors import DataError
from tasks.readers.gold_conll import GoldConllOptions, iob2_of_brackets, read
from tasks.schema import check_iob2

DOCUMENT = """\
#begin document (bc/cctv/00/cctv_0001); part 000
bc/cctv/00/cctv_0001 0 0      Ada   NNP  (TOP(S(NP*     -  - - Speaker#1  (PERSON*  (ARG0* (1
bc/cctv/00/cctv_0001 0 1 Lovelace   NNP          *)     -  - - Speaker#1        *)      *) 1)
bc/cctv/00/cctv_0001 0 2    slept   VBD        (VP* sleep 01 1 Speaker#1         *    (V*)  -
bc/cctv/00/cctv_0001 0 3    today    NN      (NP*))     -  - - Speaker#1    (DATE) (ARGM*)  -
bc/cctv/00/cctv_0001 0 4       /.     .         *))     -  - - Speaker#1         *       *  -

bc/cctv/00/cctv_0001 0 0    -LRB- -LRB-       (TOP*     -  - - Speaker#1    (NORP)       -
bc/cctv/00/cctv_0001 0 1    Swiss    JJ          *)     -  - - Speaker#1   (NORP*)       -

#end document
#begin document (bc/cctv/00/cctv_0001); part 001
bc/cctv/00/cctv_0001 1 0      Yes    UH      (TOP*)     -  - - Speaker#2         *       -
#end document
"""


def write(tmp_path, text, name="bc/cctv/00/cctv_0001.v4_gold_conll"):
    path = tmp_path / "annotations" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / "annotations"


def records(tmp_path, text):
    return list(read(write(tmp_path, text), "train", GoldConllOptions()))


def line(cell, word="w"):
    return f"d 0 0 {word} NN * - - - - {cell} -"


def document(*lines):
    return "\n".join(["#begin document (d); part 000", *lines, "", "#end document", ""])


def test_a_document(tmp_path):
    found = good(read(write(tmp_path, DOCUMENT), "train", GoldConllOptions()))
    assert [row["words"] for _, row in found] == [
        ["Ada", "Lovelace", "slept", "today", "/."], ["-LRB-", "Swiss"], ["Yes"],
    ]  # fmt: skip
    assert [row["tags"] for _, row in found] == [
        ["B-PERSON", "I-PERSON", "O", "B-DATE", "O"], ["B-NORP", "B-NORP"], ["O"],
    ]  # fmt: skip
    assert {row["source"] for _, row in found} == {"bc/cctv/00/cctv_0001"}
    assert found[1][0].endswith("entry bc/cctv/00/cctv_0001.v4_gold_conll line 8")


def test_only_gold_files_in_sorted_order(tmp_path):
    names = ["nw/wsj/b.gold_conll", "nw/wsj/a.gold_conll", "bc/z.v9_gold_conll",
             "bc/z.v9_auto_conll", "bc/z.gold_skel", "bc/.hidden.gold_conll"]  # fmt: skip
    for name in names:
        folder = write(tmp_path, document(line("*", name)), name)
    found = good(read(folder, "train", GoldConllOptions()))
    assert [row["words"] for _, row in found] == [
        ["bc/z.v9_gold_conll"], ["nw/wsj/a.gold_conll"], ["nw/wsj/b.gold_conll"],
    ]  # fmt: skip


def test_a_sentence_ends_with_its_document_and_crlf(tmp_path):
    text = f"\ufeff#begin document (d); part 000\r\n{line('*')}\r\n#end document\r\n"
    assert [row["words"] for _, row in good(iter(records(tmp_path, text)))] == [["w"]]


@pytest.mark.parametrize(("lines", "message"), [
    (["d 0 0 w NN * - - - -"], "line 2: 10 columns; expected at least 12"),
    ([line("*"), line("*") + " -"], "line 3: 13 columns; expected at least 12, and as many on"),
    ([line("(PERSON*"), line("*")], "line 2: an entity PERSON without an end"),
    ([line("(PERSON*"), line("(DATE)")], "line 2 word 2: (DATE) inside an entity PERSON"),
    ([line("(PERSON*"), line("(DATE*")], "word 2: (DATE* inside an entity PERSON"),
    ([line("*"), line("*)")], "line 2 word 2: a bracket that ends no entity"),
    ([line("-")], "line 2 word 1: entity '-'; expected (<type>*, *, *) or (<type>)"),
    ([line("(*)")], "entity '(*)'"),
    ([line("(PERSON")], "entity '(PERSON'"),
    ([line("(A(B))")], "entity '(A(B))'"),
    ([line("PERSON)")], "entity 'PERSON)'"),
])  # fmt: skip
def test_broken_sentences(tmp_path, lines, message):
    bad, last = records(tmp_path, document(*lines, "", line("*", "fine")))
    assert isinstance(bad, DataError) and message in str(bad) and "\n" not in str(bad)
    assert last[1]["words"] == ["fine"]


@pytest.mark.parametrize(("text", "message"), [
    (line("*") + "\n", "line 1: a word outside a document"),
    (document(line("*")) + line("*"), "line 5: a word outside a document"),
    (document(line("*")) + "#end document\n", "line 5: the line '#end document'; expected #begin"),
    ("#begin document d\n", "line 1: the line '#begin document d'; expected #begin document"),
    ("#begin document (d); part 000\n" + document(), "line 2: the line '#begin document (d); part"),
    (document(line("*"), "#end part"), "line 3: the line '#end part'; expected #end document"),
    (document(line("*"))[:-15], "_gold_conll: the document d does not end; expected #end document"),
    (document(line("*")).replace("w", "\0"), "line 2: a NUL byte"),
    (document(line("*")).encode().replace(b"w", b"\xff"), "line 2: bytes that are not UTF-8"),
    ("#begin document (d); part 000\n#end document\n", "no sentence; expected files *gold_conll"),
    ("", "an empty file"),
])  # fmt: skip
def test_broken_files(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        good(read(write(tmp_path, text), "train", GoldConllOptions()))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_cut_file_loses_its_last_sentence(tmp_path):
    for keep in range(DOCUMENT.index("slept"), DOCUMENT.index("-LRB-")):
        *whole, last = records(tmp_path, DOCUMENT[:keep])
        assert isinstance(last, DataError) and "does not end" in str(last)
        assert [row["tags"][0] for _, row in whole] in ([], ["B-PERSON"])


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no sentence"):
        list(read(tmp_path / "empty", "train", GoldConllOptions()))
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none", "train", GoldConllOptions()))
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a.gold_conll").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="a link"):
        list(read(tmp_path / "link", "train", GoldConllOptions()))


@settings(max_examples=times(500), deadline=None)
@given(st.lists(st.sampled_from(["*", "*)", "(A*", "(A)", "(B*", "(B)", "(A*)"]), max_size=8))
def test_brackets_that_balance_are_iob2_with_as_many_entities(cells):
    depth, balanced = 0, True
    for cell in cells:
        depth += cell.count("(")
        balanced &= 0 <= depth <= 1
        depth -= cell.count(")")
        balanced &= 0 <= depth <= 1
    if not balanced or depth:
        with pytest.raises(DataError):
            iob2_of_brackets(cells, "f")
        return
    tags = iob2_of_brackets(cells, "f")
    check_iob2(tags, "f")
    assert [tag[0] == "B" for tag in tags] == ["(" in cell for cell in cells]


def test_a_file_that_gives_nothing(tmp_path):
    """Empty it is a bad record, compressed an error; a document without a sentence is allowed."""
    folder = write(tmp_path, DOCUMENT)
    write(tmp_path, document(), "bc/a.gold_conll")
    assert len(good(read(folder, "train", GoldConllOptions()))) == 3
    write(tmp_path, "\n", "bc/b.gold_conll")
    bad, *found = outcomes(read(folder, "train", GoldConllOptions()))
    assert "entry bc/b.gold_conll: an empty file; expected a document" in bad and len(found) == 3
    write(tmp_path, gzip.compress(DOCUMENT.encode()), "bc/c.gold_conll.gz")
    with pytest.raises(DataError, match=r"entry bc/c\.gold_conll\.gz: a compressed file"):
        list(read(folder, "train", GoldConllOptions()))
