"""CNN/DailyMail stories: parts, order of the list, missing stories, the published preparation."""

from __future__ import annotations

import hashlib

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from reading import check_pairs, good

from tasks.errors import DataError
from tasks.readers.news_stories import StoriesOptions, read

STORY = """LONDON, England (Reuters) -- Harry Potter star gains access to a fortune.

By . James Chapman

"I don't plan to be a fool"

@highlight

Harry Potter star gets £20M fortune

@highlight

Young actor has no plans to waste his cash!
"""
CNN = "http://web.archive.org/web/2015id_/http://www.cnn.com/2007/a.html"
MAIL = "http://web.archive.org/web/2015id_/http://www.dailymail.co.uk/b.html"
LISTS = {"train": "all_train.txt", "validation": "all_val.txt", "test": "all_test.txt"}


def name(url):
    return f"{hashlib.sha1(url.encode()).hexdigest()}.story"


def written(folder, urls=(MAIL, CNN), cnn=STORY, mail="one\n\n@highlight\n\ntwo\n"):
    for paper, url, story in (("cnn", CNN, cnn), ("dailymail", MAIL, mail)):
        (folder / paper / "stories").mkdir(parents=True, exist_ok=True)
        content = story if isinstance(story, bytes) else story.encode()
        (folder / paper / "stories" / name(url)).write_bytes(content)
    (folder / "all_train.txt").write_text("".join(f"{url}\n" for url in urls))
    return folder


def records(folder, **options):
    return list(read(folder, "train", StoriesOptions(lists=LISTS, **options)))


def test_stories_in_the_order_of_the_list(tmp_path):
    second, first = good(records(written(tmp_path)))
    assert second[1] == {"input": "one", "targets": ["two"], "source": "dailymail"}
    assert first[0] == str(tmp_path / "cnn" / "stories" / name(CNN))
    assert first[1] == {
        "input": "LONDON, England (Reuters) -- Harry Potter star gains access to a fortune. "
        'By . James Chapman "I don\'t plan to be a fool"',
        "targets": [
            "Harry Potter star gets £20M fortune\nYoung actor has no plans to waste his cash!"
        ],
        "source": "cnn",
    }


def test_the_published_preparation(tmp_path):
    second, first = good(records(written(tmp_path), add_periods=True))
    assert (second[1]["input"], second[1]["targets"]) == ("one .", ["two ."])
    assert first[1]["input"].endswith('James Chapman . "I don\'t plan to be a fool"')
    assert first[1]["targets"][0].startswith("Harry Potter star gets £20M fortune .\nYoung")
    assert first[1]["targets"][0].endswith("cash!")


@pytest.mark.parametrize("linked", ["cnn", "cnn/stories", f"cnn/stories/{name(CNN)}"])
def test_a_link_is_not_followed(tmp_path, linked):
    folder = written(tmp_path / "here")
    outside = tmp_path / "outside"
    (folder / linked).rename(outside)
    (folder / linked).symlink_to(outside)
    of_mail, of_cnn = records(folder)
    assert isinstance(of_cnn, DataError) and "a link" in str(of_cnn)
    assert isinstance(of_mail, DataError) == (linked != f"cnn/stories/{name(CNN)}")


def test_a_list_of_urls_outside_the_folder_is_not_read(tmp_path):
    folder = written(tmp_path / "here")
    (tmp_path / "secret").write_text("pass word")
    (folder / "all_train.txt").unlink()
    (folder / "all_train.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=r"all_train\.txt: a link out of the folder") as error:
        records(folder)
    assert "pass word" not in str(error.value)
    with pytest.raises(DataError, match="out of the folder"):
        list(read(folder, "train", StoriesOptions(lists={"train": "../secret"})))


@pytest.mark.parametrize(("story", "message"), [
    ("", "an empty input"),
    ("@highlight\n\nx", "an empty input"),
    ("article", "an empty target"),
    ("article\n\n@highlight\n\n", "an empty target"),
])  # fmt: skip
def test_an_empty_story_is_a_bad_record_or_left_out(tmp_path, story, message):
    found = records(written(tmp_path, cnn=story))
    assert len(found) == 2 and isinstance(found[1], DataError)
    assert message in str(found[1]) and name(CNN) in str(found[1])
    assert len(good(records(tmp_path, drop_empty=True))) == 1


@pytest.mark.parametrize(("story", "message"), [
    (b"a\n\xff\n@highlight\nx", "line 2: bytes that are not UTF-8"),
    (b"a\0\n@highlight\nx", "line 1: a NUL byte"),
    (b"a" * (2**24 + 1), "more than 16777216 bytes"),
])  # fmt: skip
def test_a_story_that_is_no_text_is_a_bad_record(tmp_path, story, message):
    found = records(written(tmp_path, (CNN, MAIL), cnn=story), drop_empty=True)
    assert isinstance(found[0], DataError) and message in str(found[0])
    assert not isinstance(found[1], DataError)


def test_missing_and_linked_stories_are_bad_records(tmp_path):
    found = records(written(tmp_path, ("http://x", "", CNN)))
    assert f"all_train.txt line 1: no story {name('http://x')} of 'http://x'" in str(found[0])
    assert "line 2: no story" in str(found[1]) and not isinstance(found[2], DataError)
    (tmp_path / "cnn" / "stories" / name("http://x")).symlink_to("/etc/hostname")
    assert "a link; expected a plain file" in str(records(tmp_path)[0])


def test_what_makes_the_directory_unreadable(tmp_path):
    with pytest.raises(DataError, match=r"all_train\.txt: no such file"):
        records(tmp_path)
    (tmp_path / "all_train.txt").write_text("")
    with pytest.raises(DataError, match=r"no folder \*/stories"):
        records(tmp_path)
    (tmp_path / "cnn" / "stories").mkdir(parents=True)
    with pytest.raises(DataError, match=r"all_train\.txt: no line"):
        records(tmp_path)
    with pytest.raises(DataError, match="no list is known for the split test"):
        list(read(tmp_path, "test", StoriesOptions(lists={"train": "all_train.txt"})))


@settings(max_examples=times(200), deadline=None)
@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_any_story(tmp_path_factory, content, drop_empty, add_periods):
    folder = written(tmp_path_factory.mktemp("any"), cnn=content)
    options = {"drop_empty": drop_empty, "add_periods": add_periods}
    check_pairs(read(folder, "train", StoriesOptions(lists=LISTS, **options)))


@settings(max_examples=times(200), deadline=None)
@given(st.binary(max_size=200))
def test_any_list(tmp_path_factory, content):
    folder = written(tmp_path_factory.mktemp("any"))
    (folder / "all_train.txt").write_bytes(content)
    check_pairs(read(folder, "train", StoriesOptions(lists=LISTS)))


def test_mutations(tmp_path):
    good_ones = 0
    for seed in seeds(300):
        written(tmp_path, cnn=mutated(STORY.encode(), seed))
        try:
            good_ones += check_pairs(iter(records(tmp_path)))[0]
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert len(seeds(300)) < good_ones < 2 * len(seeds(300))
