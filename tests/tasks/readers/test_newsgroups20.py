"""20 Newsgroups: archive and directory, order, stripping as in scikit-learn, hostile archives."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.newsgroups20 import NewsgroupsOptions, read, strip

POST = "From: a@b.c\nTo: x\n\nIn article <1> b writes:\n> quoted\nMy word: caf\xe9\n\n--\nA. B."
POSTS = {
    "20news-bydate-train/sci.med/1000": POST,
    "20news-bydate-train/sci.med/999": "Subject: two\n\nsecond",
    "20news-bydate-train/alt.atheism/5": "Subject: three\n\nthird",
    "20news-bydate-test/sci.med/7": "Subject: four\n\nfourth",
}


def archive(path, entries, extra=()):
    with tarfile.open(path, "w:gz") as tar:
        for name, text in entries.items():
            content = text.encode("latin-1")
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return path


def rows(path, split="train", **options):
    return [row for _, row in good(read(path, split, NewsgroupsOptions(**options)))]


def test_order_encoding_and_labels(tmp_path):
    read_rows = rows(archive(tmp_path / "a.tar.gz", POSTS))
    assert [row["label"] for row in read_rows] == ["alt.atheism", "sci.med", "sci.med"]
    assert read_rows[1]["text"] == "Subject: two\n\nsecond"  # 999 before 1000: by number
    assert read_rows[2]["text"] == POST
    assert [r["text"] for r in rows(tmp_path / "a.tar.gz", "test")] == ["Subject: four\n\nfourth"]


def test_directory_gives_the_same(tmp_path):
    for name, text in POSTS.items():
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_bytes(text.encode("latin-1"))
    (tmp_path / "d" / "20news-bydate-train" / "sci.med" / ".DS_Store").write_bytes(b"x")
    assert rows(tmp_path / "d") == rows(archive(tmp_path / "a.tar.gz", POSTS))


@pytest.mark.parametrize("remove", [["headers"], ["footers"], ["quotes"],
                                    ["quotes", "footers", "headers"]])  # fmt: skip
@pytest.mark.parametrize("text", [
    POST, "", "\n\n", "no header", "H: 1\n\nbody\n\nlast", "H: 1\n\n---\nx", "a\n-- \n--\nsig\n\n",
    "\n\n|quoted\nkept\nsomeone wrote:\n", "H: 1\n\n\n\n- - -\nb\n \nc",
])  # fmt: skip
def test_strips_as_scikit_learn_does(text, remove):
    from sklearn.datasets import _twenty_newsgroups as reference

    expected = text
    if "headers" in remove:
        expected = reference.strip_newsgroup_header(expected)
    if "footers" in remove:
        expected = reference.strip_newsgroup_footer(expected)
    if "quotes" in remove:
        expected = reference.strip_newsgroup_quoting(expected)
    assert strip(text, remove) == expected


def test_stripped_post(tmp_path):
    options = {"remove": ["headers", "footers", "quotes"]}
    assert rows(archive(tmp_path / "a.tar.gz", POSTS), **options)[2]["text"] == "My word: caf\xe9\n"


def test_windows_line_ends(tmp_path):
    options = {"remove": ["headers", "footers", "quotes"]}
    expected = rows(archive(tmp_path / "a.tar.gz", POSTS), **options)
    windows = {name: post.replace("\n", "\r\n") for name, post in POSTS.items()}
    assert rows(archive(tmp_path / "b.tar.gz", windows), **options) == expected


@pytest.mark.parametrize("name", ["../x", "/etc/x", "20news-bydate-train/../../x",
                                  "20news-bydate-train/sci.med/../../../1"])  # fmt: skip
def test_paths_that_leave_the_archive(tmp_path, name):
    path = archive(tmp_path / "a.tar.gz", {**POSTS, name: "evil"})
    with pytest.raises(DataError, match="leaves the archive") as error:
        rows(path)
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path, kind):
    info = tarfile.TarInfo("20news-bydate-train/sci.med/8")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match="a link or a device"):
        rows(archive(tmp_path / "a.tar.gz", POSTS, [info]))


def test_link_in_a_directory(tmp_path):
    folder = tmp_path / "20news-bydate-train" / "sci.med"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="a link"):
        rows(tmp_path)


def test_a_sparse_post_with_nothing_in_it(tmp_path):
    """A few bytes of header that stand for 16 GB of zeros."""
    header = bytearray(tarfile.TarInfo("20news-bydate-train/sci.med/8").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"%011o\0" % 2**33  # the size after unpacking, beyond the stored one
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(DataError, match="8589934592 bytes; expected at most"):
        rows(tmp_path / "a.tar")


def test_a_post_that_is_far_too_long(tmp_path):
    info = tarfile.TarInfo("20news-bydate-train/sci.med/8")
    info.size = 2**40
    header = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header))
    with pytest.raises(DataError, match="at most"):
        rows(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("keep", [0, 5, 60, 150, -1, -9])
def test_truncated_archive(tmp_path, keep):
    path = archive(tmp_path / "a.tar.gz", POSTS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cannot be read|no posts") as error:
        rows(path)
    assert str(path) in str(error.value)


def test_damaged_archive(tmp_path):
    path = archive(tmp_path / "a.tar.gz", POSTS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError):
        rows(path)
    path.write_bytes(b"this is no archive")
    with pytest.raises(DataError, match="cannot be read"):
        rows(path)


def test_wrong_layouts(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "none.tar.gz")
    with pytest.raises(DataError, match="no posts in 20news-bydate-train"):
        rows(tmp_path)
    with pytest.raises(DataError, match="no folder is known for the split validation"):
        rows(tmp_path, "validation")
    with pytest.raises(DataError, match="article number"):
        rows(archive(tmp_path / "a.tar.gz", {"20news-bydate-train/sci.med/readme": "x"}))
    with pytest.raises(DataError, match="second post"):
        rows(archive(tmp_path / "b.tar.gz", {
            "20news-bydate-train/sci.med/1": "x", "20news-bydate-train/sci.med/01": "y",
        }))  # fmt: skip
