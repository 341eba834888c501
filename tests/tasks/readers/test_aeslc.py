"""AESLC: parts of a mail, owners, order, broken mails, damaged archives, any bytes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from reading import check_pairs, good

from tasks.errors import DataError
from tasks.readers.aeslc import AeslcOptions, read

MAIL = "Greg/Phillip,  Attached is the Agreement.\nI can get it @ 5:00pm.\n\n@subject\nAgreement"
RATED = f"{MAIL}\n\n@ann0\nthe agreement\n\n@ann1\nan agreement\n\n@ann2\nagreement attached"
FILES = {
    "enron_subject_line/train/mims-thurston-p_inbox_7.subject": MAIL,
    "enron_subject_line/train/allen-p_sent_20.subject": MAIL.replace("Greg/", ""),
    "enron_subject_line/train/allen-p_inbox_103.subject": "one\n@ bdixson@kgas.com.\n@subject\nx\n",
    "enron_subject_line/dev/allen-p_inbox_29.subject": RATED,
    "enron_subject_line/test/arnold-j_inbox_1.subject": RATED,
    "enron_subject_line/README": "read me",
}


def archive(path, files=FILES, extra=(), mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return path


def rows(path, split="train", **options):
    return [row for _, row in good(read(path, split, AeslcOptions(**options)))]


def one(tmp_path, text, name="allen-p_inbox_1.subject"):
    return list(read(archive(tmp_path / "a.tar.gz", {f"x/train/{name}": text}), "train",
                     AeslcOptions()))  # fmt: skip


def test_mails_sorted_by_name(tmp_path):
    path = archive(tmp_path / "a.tar.gz")
    found = good(read(path, "train", AeslcOptions()))
    assert [row["client"] for _, row in found] == ["allen-p", "allen-p", "mims-thurston-p"]
    assert found[0] == (
        f"{path} entry enron_subject_line/train/allen-p_inbox_103.subject",
        {"input": "one\n@ bdixson@kgas.com.", "targets": ["x"], "client": "allen-p"},
    )
    assert found[2][1]["input"].endswith("Agreement.\nI can get it @ 5:00pm.")


def test_annotated_subjects_are_further_references(tmp_path):
    path = archive(tmp_path / "a.tar.gz")
    expected = ["Agreement", "the agreement", "an agreement", "agreement attached"]
    for split in ("validation", "test"):
        assert rows(path, split)[0]["targets"] == expected


def test_a_mail_in_two_mailboxes_stays_two(tmp_path):
    files = {f"x/test/{owner}_inbox_1.subject": RATED for owner in ("arora-h", "taylor-m")}
    found = rows(archive(tmp_path / "a.tar.gz", files), "test")
    assert [row["client"] for row in found] == ["arora-h", "taylor-m"]


def test_directory_and_other_packing_give_the_same(tmp_path):
    for name, text in FILES.items():
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text(text.replace("\n", "\r\n"), newline="")
    shuffled = dict(sorted(FILES.items(), key=lambda item: item[0][::-1]))
    expected = rows(archive(tmp_path / "a.tar.gz"))
    assert rows(tmp_path / "d") == rows(archive(tmp_path / "a.tar.xz", shuffled, mode="w:xz"))
    assert rows(tmp_path / "d") == expected


@pytest.mark.parametrize(("text", "message"), [
    ("", "no @subject"),
    ("body\n", "no @subject"),
    ("body\n@subject \nx", "no @subject"),
    ("@subject\nx", "an empty input"),
    (" \n\n@subject\nx", "an empty input"),
    ("body\n@subject", "an empty target"),
    ("body\n@subject\n\n@ann0\nx", "an empty target"),
    ("body\n@subject\nx\n@ann0\n ", "an empty target"),
    ("body\n@subject\nx\n@subject\ny", "@subject @subject; expected @subject once"),
    ("body\n@ann0\nx\n@subject\ny", "@ann0 @subject"),
    ("body\n@subject\nx\n@ann1\ny", "@subject @ann1"),
    ("body\n@subject\nx\ny", "@subject: several lines"),
    (RATED.replace("\n@ann1", " @ann1"), "@subject @ann0 @ann2"),
    (b"bod\xe9\n@subject\nx", "line 1: bytes that are not UTF-8"),
    (b"body\n@subject\nx\0", "line 3: a NUL byte"),
])  # fmt: skip
def test_broken_mails_are_bad_records(tmp_path, text, message):
    record = one(tmp_path, text)
    assert len(record) == 1 and isinstance(record[0], DataError)
    assert message in str(record[0]) and "x/train/allen-p_inbox_1.subject" in str(record[0])


def test_reading_goes_on_after_a_broken_mail(tmp_path):
    files = {f"x/train/a_sent_{n}.subject": MAIL if n != 1 else "no" for n in range(3)}
    records = list(read(archive(tmp_path / "a.tar.gz", files), "train", AeslcOptions()))
    assert [isinstance(record, DataError) for record in records] == [False, True, False]


def test_a_name_without_owner(tmp_path):
    assert "file name 'x.subject'" in str(one(tmp_path, MAIL, "x.subject")[0])


def test_layouts_that_are_refused(tmp_path):
    path = archive(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match=r"no file in training/; expected training/<name>\.subject"):
        rows(path, folders={"train": "training"})
    with pytest.raises(DataError, match="no folder is known for the split test"):
        rows(path, "test", folders={"train": "train"})
    twice = {f"{f}/train/a_sent_1.subject": MAIL for f in ("x", "y")}
    with pytest.raises(DataError, match="a second file of this name"):
        rows(archive(tmp_path / "b.tar.gz", twice))
    link = tarfile.TarInfo("x/train/b_sent_1.subject")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(DataError, match="a link or a device"):
        rows(archive(tmp_path / "c.tar.gz", extra=[link]))
    with pytest.raises(DataError, match="leaves the archive"):
        rows(archive(tmp_path / "d.tar.gz", {"../train/a_sent_1.subject": MAIL}))
    with pytest.raises(DataError, match="at most 16777216"):
        rows(archive(tmp_path / "e.tar.gz", {"x/train/a_sent_1.subject": b"a" * (2**24 + 1)}))
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "none.tar.gz")


@settings(max_examples=times(300), deadline=None)
@given(st.binary(max_size=200))
def test_any_mail(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any") / "train"
    folder.mkdir()
    (folder / "a_sent_1.subject").write_bytes(content)
    check_pairs(read(folder.parent, "train", AeslcOptions()))


@settings(max_examples=times(200), deadline=None)
@given(st.binary(max_size=600))
def test_any_archive(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.tar.gz"
    path.write_bytes(content)
    assert check_pairs(read(path, "train", AeslcOptions())) == (0, 1)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_mutated_archives(tmp_path, mode):
    content = archive(tmp_path / "a.tar", mode=mode).read_bytes()
    for seed in seeds(200):
        (tmp_path / "b.tar").write_bytes(mutated(content, seed))
        try:
            check_pairs(read(tmp_path / "b.tar", "train", AeslcOptions()))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
def test_mutations_of_real_mails(tmp_path):
    real = Path(os.environ["FEDNLP_DATA"]) / "data/aeslc/enron_subject_line.tar.gz"
    with tarfile.open(real) as tar:
        members = [tar.extractfile(m) for m, _ in zip(_mails(tar), range(400), strict=False)]
        mails = [member.read() for member in members if member is not None]
    (tmp_path / "train").mkdir()
    good_ones = 0
    for round_ in seeds(3):
        for number, mail in enumerate(mails):
            seed = round_ * len(mails) + number
            file = tmp_path / "train" / f"a-b_sent_{number}.subject"
            file.write_bytes(mutated(mail, seed))
        try:
            found, bad = check_pairs(read(tmp_path, "train", AeslcOptions()))
        except Exception as error:
            raise AssertionError(f"seeds from {round_ * len(mails)}") from error
        assert found + bad == len(mails)
        good_ones += found
    assert 0 < good_ones < len(seeds(3)) * len(mails)


def _mails(tar):
    return (member for member in tar if member.name.endswith(".subject"))
