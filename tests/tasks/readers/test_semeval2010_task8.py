"""SemEval-2010 task 8: archive, directory and file; blocks of three lines; hostile input."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import outcomes

from tasks.errors import DataError
from tasks.readers.semeval2010_task8 import SemevalOptions, read

TRAIN = (
    '1\t"The <e1>audits</e1> were about <e2>waste</e2>."\r\n'
    "Message-Topic(e1,e2)\r\nComment: Assuming an audit = a document.\r\n\r\n"
    '2 ""Any <time," he told the <e1>boy</e1> in the <e2>desk</e2>."\r\nOther\r\nComment:\r\n\r\n'
)
ROWS = [
    {
        "text": "The <e1>audits</e1> were about <e2>waste</e2>.",
        "label": "Message-Topic(e1,e2)",
    },
    {"text": '"Any <time," he told the <e1>boy</e1> in the <e2>desk</e2>.', "label": "Other"},
]
FILES = {
    "all/training/TRAIN_FILE.TXT": TRAIN.encode(),
    "all/testing_keys/TEST_FILE_FULL.TXT": TRAIN.replace("1\t", "8001\t").encode(),
    "all/training/README.txt": b"\xff",
}


def archive(path, files=FILES, kind=None):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if kind:
                info.type, info.linkname, info.size = kind, "/etc/passwd", 0
            tar.addfile(info, io.BytesIO(content))
    return path


def folder(path, files=FILES):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def rows(path, split="train", **options):
    return outcomes(read(path, split, SemevalOptions(**options)))


def text_rows(tmp_path, text):
    path = tmp_path / "f.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return rows(path)


def test_archive_directory_and_file_give_the_same(tmp_path):
    assert rows(archive(tmp_path / "a.tar.gz")) == ROWS
    assert rows(folder(tmp_path / "d")) == ROWS
    assert rows(tmp_path / "d" / "all", "test") == ROWS
    assert rows(tmp_path / "d" / "all" / "training" / "TRAIN_FILE.TXT") == ROWS


def test_the_last_block_needs_no_blank_line(tmp_path):
    assert text_rows(tmp_path, "\n\n" + TRAIN.rstrip()) == ROWS


@pytest.mark.parametrize(("block", "message"), [
    ('9\t"no <e1>first</e1> only"\nOther\nComment:', "line 5: 'no <e1>first</e1> only'; expected"),
    ('9\t"<e2>b</e2> <e1>a</e1>"\nOther\nComment:', "one <e1>...</e1>, then one <e2>"),
    ('9\t"<e1>a</e1> <e2>b</e2> <e2>c</e2>"\nOther\nComment:', "one <e1>...</e1>, then one"),
    ('9\t"<e1></e1> <e2>b</e2>"\nOther\nComment:', "one <e1>...</e1>, then one"),
    ('9\t<e1>a</e1> <e2>b</e2>\nOther\nComment:', "a sentence in double quotes"),
    ('x\t"<e1>a</e1> <e2>b</e2>"\nOther\nComment:', "a number and a sentence"),
    ('9\t"<e1>a</e1> <e2>b</e2>"', "1 lines; expected"),
    ('9\t"<e1>a</e1> <e2>b</e2>"\nOther', "2 lines; expected"),
    ('9\t"<e1>a</e1> <e2>b</e2>"\nOther\nComment:\nmore', "other lines; expected"),
    ('9\t"<e1>a</e1> <e2>b</e2>"\nOther\nother', "other lines; expected"),
    ('1\t"<e1>a</e1> <e2>b</e2>"\nOther\nComment:', "a second sentence with the number 1"),
    (b'9\t"<e1>\xff</e1> <e2>b</e2>"\nOther\nComment:', "line 5: bytes that are not UTF-8"),
    (b"9" * (9 * 2**20), "line 5: more than 8388608 bytes"),
    ("x\n" * 500, "line 5: 'x'"),
])  # fmt: skip
def test_a_bad_block_is_one_bad_record(tmp_path, block, message):
    block = block if isinstance(block, bytes) else block.encode()
    one, two = TRAIN.encode().split(b"\r\n\r\n")[:2]
    first, bad, last = text_rows(tmp_path, b"\n\n".join([one, block.rstrip(), two]))
    assert [first, last] == ROWS
    assert message in bad and "f.txt line 5" in bad and len(bad) < 300


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_no_sentence(tmp_path, text):
    with pytest.raises(DataError, match="no sentence"):
        text_rows(tmp_path, text)


def test_the_file_is_not_there(tmp_path):
    with pytest.raises(DataError, match="0 files named TEST_FILE_FULL"):
        rows(archive(tmp_path / "a.tar.gz", {"x/TRAIN_FILE.TXT": b""}), "test")
    with pytest.raises(DataError, match="2 files named TRAIN_FILE"):
        rows(folder(tmp_path / "d", {"x/TRAIN_FILE.TXT": b"", "y/TRAIN_FILE.TXT": b""}))
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "d", "test")
    with pytest.raises(DataError, match="no file is known for the split validation"):
        rows(tmp_path / "a.tar.gz", "validation")


def test_hostile_archives(tmp_path):
    with pytest.raises(DataError, match="leaves the archive"):
        rows(archive(tmp_path / "a.tar.gz", {"../TRAIN_FILE.TXT": TRAIN.encode()}))
    with pytest.raises(DataError, match="a link or a device"):
        rows(archive(tmp_path / "b.tar.gz", kind=tarfile.SYMTYPE))
    content = archive(tmp_path / "c.tar.gz").read_bytes()
    for keep in (0, 7, len(content) // 2, len(content) - 9):
        (tmp_path / "c.tar.gz").write_bytes(content[:keep])
        with pytest.raises(DataError):
            rows(tmp_path / "c.tar.gz")


def test_a_link_out_of_the_directory(tmp_path):
    folder(tmp_path / "secret")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "TRAIN_FILE.TXT").symlink_to(
        tmp_path / "secret" / "all" / "training" / "TRAIN_FILE.TXT"
    )
    with pytest.raises(DataError, match="a link out of the folder"):
        rows(tmp_path / "d")


@given(st.data())
def test_any_bytes(tmp_path_factory, data):
    content = bytearray(TRAIN.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("any") / "f.txt"
    path.write_bytes(bytes(content))
    try:
        rows(path)
    except DataError as error:
        assert "f.txt" in str(error)
