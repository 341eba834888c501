"""E2E CSV: zip, directory and single file; grouping of references; damaged input."""

from __future__ import annotations

import zipfile

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from reading import check_pairs, good

from tasks.errors import DataError
from tasks.readers.e2e_csv import E2eOptions, read

TRAIN = 'mr,ref\r\n"name[A], near[B]",A is near B.\r\n"name[A], near[B]","Near B, ""A""\nis."\r\n'
TEST = '"mr","ref"\n"name[X]","X."\n"name[Y]","Y."\n"name[X]","It is X, café."\n'
FILES = {"trainset.csv": TRAIN, "devset.csv": TEST, "testset_w_refs.csv": TEST}


def zipped(path, files=FILES, folder="e2e-dataset/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(folder + name, text)
        archive.writestr(folder + "README.md", "read me")
    return path


def rows(path, split, **options):
    return [row for _, row in good(read(path, split, E2eOptions(**options)))]


def test_train_keeps_one_row_per_reference(tmp_path):
    assert rows(zipped(tmp_path / "a.zip"), "train") == [
        {"input": "name[A], near[B]", "targets": ["A is near B."]},
        {"input": "name[A], near[B]", "targets": ['Near B, "A"\nis.']},
    ]


def test_evaluation_has_all_references_of_an_input(tmp_path):
    expected = [
        {"input": "name[X]", "targets": ["X.", "It is X, café."]},
        {"input": "name[Y]", "targets": ["Y."]},
    ]
    path = zipped(tmp_path / "a.zip")
    assert rows(path, "validation") == rows(path, "test") == expected


def test_directory_and_single_file(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert rows(tmp_path, "test") == rows(zipped(tmp_path / "a.zip"), "test")
    assert rows(tmp_path / "trainset.csv", "train") == rows(tmp_path, "train")


@pytest.mark.parametrize(("text", "message"), [
    ("", "no rows"),
    ("mr;ref\na;b\n", "line 1: columns ['mr;ref']"),
    ("mr,ref\n", "no rows"),
    ("mr,ref\na,b\nmr,ref\nc,d\n", "line 3: the header again"),
    ("mr,ref\na,b\nc\n", "line 3: 1 columns"),
    ("mr,ref\na,b\nc,d,e\n", "line 3: 3 columns"),
    ('mr,ref\n"a\nb",c\nd,\n', "line 4: an empty cell"),
    ("mr,ref\na,b\0\n", "line 2: a NUL byte"),
    ('mr,ref\na,"b\n', "line 2: a quote that is not closed"),
])  # fmt: skip
def test_broken_rows(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        rows(zipped(tmp_path / "a.zip", {"trainset.csv": text}), "train")
    assert message in str(error.value) and "a.zip" in str(error.value)


def test_not_utf8(tmp_path):
    with pytest.raises(DataError, match="not UTF-8"):
        rows(zipped(tmp_path / "a.zip", {"trainset.csv": b"mr,ref\na,\xff\n"}), "train")


def test_damaged_zip(tmp_path):
    path = zipped(tmp_path / "a.zip", {"trainset.csv": "mr,ref\n" + "name[A],A is.\n" * 5000})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        rows(path, "train")
    flipped = bytearray(content)
    flipped[100] ^= 0xFF
    path.write_bytes(bytes(flipped))
    with pytest.raises(DataError, match="cannot be read"):
        rows(path, "train")


def test_files_in_the_zip(tmp_path):
    path = zipped(tmp_path / "a.zip", {"other.csv": TRAIN})
    with pytest.raises(DataError, match=r"0 files named trainset\.csv"):
        rows(path, "train")
    assert len(rows(path, "train", files={"train": "other.csv"})) == 2
    with pytest.raises(DataError, match="no file is known for the split test"):
        rows(path, "test", files={"train": "other.csv"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("copy/other.csv", TRAIN)
    with pytest.raises(DataError, match="2 files named"):
        rows(path, "train", files={"train": "other.csv"})


def test_an_entry_that_leaves_the_zip(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../trainset.csv", "mr,ref\na,b\n")
    with pytest.raises(DataError, match="a path that leaves the archive"):
        rows(path, "train")


def test_a_zip_bomb(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trainset.csv", b"0" * (70 * 2**20))
    with pytest.raises(DataError, match="bytes that unpack to 73400320 or more; expected at most"):
        rows(path, "train")


def test_missing(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "none.zip", "train")
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path, "train")


@settings(max_examples=times(200), deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(tmp_path_factory, content, header):
    path = tmp_path_factory.mktemp("any") / "trainset.csv"
    path.write_bytes(b"mr,ref\n" + content if header else content)
    check_pairs(read(path, "train", E2eOptions()))


def test_mutations(tmp_path):
    text, packed = TEST.encode() * 3, zipped(tmp_path / "a.zip").read_bytes()
    for seed in seeds(400):
        path = tmp_path / ("testset_w_refs.csv" if seed % 2 else "b.zip")
        path.write_bytes(mutated(text if seed % 2 else packed, seed))
        try:
            check_pairs(read(path, "test", E2eOptions()))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
