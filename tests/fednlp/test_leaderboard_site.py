"""The folder of a site: only ours is replaced, and nothing is written elsewhere."""

from __future__ import annotations

import json

import pytest
from harness import command

from fednlp.errors import UserError
from fednlp.leaderboard.site import MARKER, Site


def listed(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def made(folder, **files):
    site = Site(folder)
    for name, text in files.items():
        site.write(f"data/{name}.md", text)
    site.finish()
    return site


def test_files_of_the_site_before_that_are_not_made_again_go_and_others_stay(tmp_path):
    folder = tmp_path / "site"
    made(folder, a="1", b="2")
    (folder / "data" / "mine.txt").write_text("not yours")
    made(folder, a="3")
    assert listed(folder) == {MARKER, "data/a.md", "data/mine.txt"}
    assert (folder / "data" / "a.md").read_text() == "3"


def test_a_folder_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not a site of ours"):
        Site(tmp_path)
    assert listed(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize("what", ["link", "file", "marker", "foreign marker"])
def test_other_things_in_the_place_of_a_site(tmp_path, what):
    place, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MARKER).write_text('{"files": {}}')
    if what == "link":
        place.symlink_to(elsewhere)
    elif what == "file":
        place.write_text("")
    else:
        place.mkdir()
        if what == "marker":
            (place / MARKER).symlink_to(elsewhere / MARKER)
        else:
            (place / MARKER).write_text("[]")
    with pytest.raises(UserError):
        Site(place)


def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    folder, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    made(folder, a="1")
    elsewhere.mkdir()
    (elsewhere / "a.md").write_text("theirs")
    (folder / "data" / "a.md").unlink()
    (folder / "data" / "a.md").symlink_to(elsewhere / "a.md")
    made(folder, a="2")
    assert (elsewhere / "a.md").read_text() == "theirs"
    assert (folder / "data" / "a.md").read_text() == "2"
    for path in (folder / "data").iterdir():
        path.unlink()
    (folder / "data").rmdir()
    (folder / "data").symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link"):
        made(folder, a="3")
    Site(folder).finish()  # would remove data/a.md, which it made
    assert (elsewhere / "a.md").read_text() == "theirs"


def test_a_marker_cannot_have_other_files_removed(tmp_path):
    folder = tmp_path / "site"
    made(folder)
    victims = ["../victim.md", "notes.md", "data/../../victim.md", str(tmp_path / "victim.md")]
    (tmp_path / "victim.md").write_text("")
    (folder / "notes.md").write_text("")
    (folder / MARKER).write_text(json.dumps({"files": dict.fromkeys(victims, "")}))
    assert Site(folder).finish() == 0
    assert (tmp_path / "victim.md").exists() and (folder / "notes.md").exists()


def test_what_is_made_from_the_same_is_not_made_again(tmp_path):
    folder = tmp_path / "site"
    for needed, expected in (("1", "first"), ("1", "first"), ("2", "third")):
        site = Site(folder)
        text = {"1": "first", "2": "third"}[needed]
        site.write_once("run/x.html", needed, lambda text=text: text)
        site.finish()
        assert (folder / "run" / "x.html").read_text() == expected
    (folder / "run" / "x.html").unlink()
    site = Site(folder)
    site.write_once("run/x.html", "2", lambda: "again")
    assert (folder / "run" / "x.html").read_text() == "again"


@pytest.mark.parametrize("content", ["nothing", "damaged"])
def test_no_site_of_nothing(content, tmp_path):
    """Whoever mistypes the directory above his runs publishes no empty site."""
    runs, out = tmp_path / "runs", tmp_path / "site"
    runs.mkdir()
    if content == "damaged":
        (runs / "a").mkdir()
        (runs / "a" / "result.json").write_text("{")
    for more in ([], ["--out", out]):
        line = command("leaderboard", runs, *more).one_line()
        assert "holds no finished run" in line and ("skipped" in line) == (content == "damaged")
    assert not out.exists()
