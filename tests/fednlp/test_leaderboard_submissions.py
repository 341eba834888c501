"""A leaderboard from many people's entries: what agrees counts once, and no entry harms another."""

from __future__ import annotations

import hashlib
import html
import json
import os
import shutil
import zipfile
from dataclasses import replace

import pytest
from harness import command, written
from test_hostile_submissions import written as archive

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.conclusion import sums
from fednlp.jobs import trials
from fednlp.leaderboard import sources
from fednlp.leaderboard.build import board_of, build
from fednlp.results.own_names import FILES, MANIFEST
from fednlp.results.schema import Result
from fednlp.submissions.read import open_submission

BASE = Made(rounds=4)
METHODS = {"FedAvg": 0.8, "FedProx": 0.4}


@pytest.fixture
def runs(tmp_path):
    """Two methods, three seeds."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for seed in range(3):
        for method, quality in METHODS.items():
            write_pair(folder, replace(BASE, seed=seed, method=method, quality=quality))
    return folder


def zipped(path, folders):
    """The folders as a submission."""
    names = [(folder, name) for folder in folders for name in (*FILES, MANIFEST)]
    here = {f"{folder.name}/{n}": folder / n for folder, n in names if (folder / n).exists()}
    return archive(path, {name: file.read_bytes() for name, file in here.items()})


def copied(runs, target):
    shutil.copytree(runs, target)
    return target


def of(directory, *words):
    """The folders whose name has all words."""
    return [p for p in sorted(directory.iterdir()) if all(word in p.name for word in words)]


def forged(folder, change=0.3, **values):
    """The folder with another test score of the selected model, its checksum made again."""
    file = folder / "result.json"
    result = Result.model_validate_json(file.read_text())
    test = {k: max(0.0, v - change) for k, v in result.selected.test.items()}
    selected = result.selected.model_copy(update={"test": test})
    file.write_bytes(result.model_copy(update={"selected": selected, **values}).as_json())


def summed(folder):
    """The result, as if it had been written with the files that are there."""
    result = Result.model_validate_json((folder / "result.json").read_text())
    if result.partition is not None:
        (folder / "partition.npz").touch()  # which the board does not open
    told = result.model_copy(update={"files": sums(folder)})
    (folder / "result.json").write_bytes(told.as_json())


def elsewhere(folder):
    """The folder as if it had been made on another machine."""
    file = folder / "environment.json"
    entries = json.loads(file.read_text())
    file.write_text(json.dumps([{**entry, "threads": 7} for entry in entries]))
    summed(folder)


def line(board, method):
    """The lines of a method: its method name, seeds, mean gap."""
    return [
        (found.disputed, found.gap.seeds, round(found.gap.gap.mean, 9))
        for found in board.lines
        if found.algorithm == method
    ]


# what agrees ------------------------------------------------------------------------------------


def test_submissions_give_the_lines_of_their_folders(runs, tmp_path):
    plain = board_of([runs])
    one = zipped(tmp_path / "a.zip", of(runs))
    board = board_of([one])
    assert [n.gap.gap for n in board.lines] == [n.gap.gap for n in plain.lines]
    assert len(board.runs) == len(plain.runs) == 9 and not board.problems
    assert {run.source for run in board.runs} == {str(one)}
    assert not any("fednlp-" in str(run.path) for run in board.runs)


def test_two_submissions_that_agree_count_once(runs, tmp_path):
    a, b = (zipped(tmp_path / f"{name}.zip", of(runs)) for name in "ab")
    board = board_of([a, b, runs])
    assert len(board.runs) == 9 and not board.conflicts and not board.problems
    assert [n.gap.seeds for n in board.lines] == [(0, 1, 2)] * 2


def test_the_runs_of_a_method_may_come_from_several_people(runs, tmp_path):
    parts = [zipped(tmp_path / f"{seed}.zip", of(runs, f"-s{seed}-")) for seed in range(3)]
    assert [n.gap.seeds for n in board_of(parts).lines] == [(0, 1, 2)] * 2


def test_last_digits_from_another_machine_are_no_conflict_and_the_first_entry_counts(
    runs, tmp_path
):
    hers = copied(runs, tmp_path / "hers")
    for folder in of(hers, "Fed"):
        forged(folder, 1e-4)
        elsewhere(folder)
    a, b = zipped(tmp_path / "a.zip", of(runs)), zipped(tmp_path / "b.zip", of(hers))
    for first, second, plain in ((a, b, runs), (b, a, hers)):
        board = board_of([first, second])
        assert not board.conflicts and len(board.runs) == 9
        assert [n.gap.gap for n in board.lines] == [n.gap.gap for n in board_of([plain]).lines]


def test_last_digits_from_one_machine_are_a_conflict(runs, tmp_path):
    hers = copied(runs, tmp_path / "hers")
    (folder,) = of(hers, "FedAvg-s0")
    forged(folder, 1e-4)
    board = board_of([runs, zipped(tmp_path / "b.zip", of(hers))])
    (conflict,) = board.conflicts
    assert all(word.startswith("selected.test") for word in conflict.differing)


# what does not ----------------------------------------------------------------------------------


def test_both_entries_of_a_conflict_are_shown_and_all_else_stays(runs, tmp_path):
    plain, hers = board_of([runs]), copied(runs, tmp_path / "hers")
    (folder,) = of(hers, "FedAvg-s0")
    forged(folder)
    elsewhere(folder)
    a, b = zipped(tmp_path / "a.zip", of(runs)), zipped(tmp_path / "b.zip", of(hers))
    site = tmp_path / "site"
    built = build([a, b], site)
    (conflict,) = built.board.conflicts
    assert conflict.sources == ((str(a),), (str(b),))
    assert line(built.board, "FedProx") == line(plain, "FedProx")
    ((_, seeds, _),) = line(built.board, "FedAvg")
    assert seeds == (1, 2)
    overview = (site / "index.html").read_text()
    section = overview[overview.index('id="conflicts"') :]
    assert str(a) in section and str(b) in section
    assert '<tr class="differ"><th scope="row">threads</th><td>1</td><td>7</td>' in section
    (benchmark,) = (site / "benchmark").glob("*.html")
    assert "1 of its runs: entries in conflict" in benchmark.read_text()
    pages = sorted((site / "run").glob(f"{conflict.id[:24]}-*.html"))
    assert len(pages) == 2 and all("Another entry has this id" in p.read_text() for p in pages)
    answer = command("leaderboard", a, b)
    assert f"conflict: {conflict.id[:24]}" in answer.out.replace("\n", " ")


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_forged_reference_removes_nobodys_line(runs, tmp_path, order):
    plain, hers = board_of([runs]), copied(runs, tmp_path / "hers")
    for folder in of(hers, "centralized"):
        forged(folder)
    a = zipped(tmp_path / "a.zip", of(runs))
    b = zipped(tmp_path / "b.zip", of(hers, "centralized"))
    board = board_of([a, b] if order == "last" else [b, a])
    assert len(board.conflicts) == 3
    for method in METHODS:
        ((_, seeds, gap),) = line(plain, method)
        assert line(board, method) == [(True, seeds, gap)]
    ranks = [str(found.rank) for found in board.lines]
    assert ranks == [str(found.rank) for found in plain.lines]


def test_one_forged_reference_leaves_the_other_seeds_alone(runs, tmp_path):
    hers = copied(runs, tmp_path / "hers")
    (folder,) = of(hers, "centralized-s1")
    forged(folder)
    board = board_of([runs, zipped(tmp_path / "b.zip", [folder])])
    expected = board_of([p for p in of(runs) if "-s1-" not in p.name])
    for method in METHODS:
        (whole,) = line(expected, method)
        found = line(board, method)
        assert found[0] == whole and [seeds for _, seeds, _ in found] == [(0, 2), (1,)]
        assert [disputed for disputed, _, _ in found] == [False, True]


def test_entries_that_agree_are_measured_against_all_references_of_theirs(runs, tmp_path):
    plain, hers = board_of([runs]), copied(runs, tmp_path / "hers")
    for folder in of(hers, "FedAvg"):
        forged(folder, 0, references=[])
    for places in ([runs, hers], [hers, runs]):
        assert line(board_of(places), "FedAvg") == line(plain, "FedAvg")


def test_lines_with_a_reference_in_conflict_come_last(runs, tmp_path):
    hers = copied(runs, tmp_path / "hers")
    forged(of(hers, "centralized-s1")[0])  # a smaller gap than any other
    entry = zipped(tmp_path / "b.zip", of(hers, "-s1-"))
    lines = board_of([runs, entry]).lines
    assert [n.disputed for n in lines] == [False] * 2 + [True] * 4
    assert min(lines, key=lambda n: n.gap.gap.mean).disputed


def test_a_copy_of_somebodys_runs_with_a_forged_reference_does_not_hide_theirs(runs, tmp_path):
    plain, hers = board_of([runs]), copied(runs, tmp_path / "hers")
    for folder in of(hers, "centralized"):
        forged(folder)
    site = tmp_path / "site"
    built = build([zipped(tmp_path / "000.zip", of(hers)), runs], site)
    for method in METHODS:
        ((_, seeds, gap),) = line(plain, method)
        found = line(built.board, method)
        assert len(found) == 2 and (True, seeds, gap) in found
    assert all(n.gap.seeds == (0, 1, 2) for n in built.board.lines)
    page = next((site / "benchmark").glob("*.html")).read_text()
    assert all(f"reference {one}, in conflict" in page for one in ("1 000.zip", "2 runs"))
    assert str(built.board.lines[0].rank) == "1-2"  # two methods, not four
    rows = json.loads((site / "data/all.json").read_text())["lines"]
    assert [row["reference_in_conflict"] for row in rows] == [True] * 4


def test_every_link_leads_somewhere_where_entries_are_in_conflict(runs, tmp_path):
    from test_leaderboard import pages

    hers = copied(runs, tmp_path / "hers")
    for folder in of(hers, "-s0-"):
        forged(folder)
    site = tmp_path / "site"
    build([runs, hers], site)
    for name, page in pages(site).items():
        links = [a["href"].partition("#")[0] for tag, a in page.tags if tag == "a"]
        for link in filter(None, links):
            assert ((site / name).parent / link).resolve().is_file(), f"{name}: {link}"
    assert build([runs, hers], site).written < 20  # of run pages, none


def test_a_run_is_not_measured_against_a_reference_with_another_floor(runs):
    (folder,) = of(runs, "centralized-s0")
    result = Result.model_validate_json((folder / "result.json").read_text())
    floor = {split: {k: v / 2 for k, v in m.items()} for split, m in result.floor.items()}
    forged(folder, 0, floor=floor)
    board = board_of([runs])
    assert len([p for p in board.problems if "its reference has another floor" in p]) == 2
    assert [n.gap.seeds for n in board.lines] == [(1, 2)] * 2


@pytest.mark.parametrize("field", ["examples", "bytes_up", "reference of another seed"])
def test_what_a_result_may_say_and_no_entry_of_the_id_can(runs, tmp_path, field):
    hers = copied(runs, tmp_path / "hers")
    (folder,) = of(hers, "FedAvg-s0")
    result = Result.model_validate_json((folder / "result.json").read_text())
    if field == "examples":
        forged(folder, data=result.data.model_copy(update={"examples": {"train": 1}}))
        elsewhere(folder)
    elif field == "bytes_up":
        records = [json.loads(n) for n in (folder / "rounds.jsonl").read_text().splitlines()]
        for record in records:
            record["bytes_up"] = 1
        log = "".join(json.dumps(record) + "\n" for record in records).encode()
        (folder / "rounds.jsonl").write_bytes(log)
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest |= {"log_bytes": len(log), "log_sha256": hashlib.sha256(log).hexdigest()}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        forged(folder, 0, costs=result.costs.model_copy(update={"bytes_up": len(records)}))
    else:
        (other,) = of(hers, "centralized-s1")
        central = Result.model_validate_json((other / "result.json").read_text())
        named = result.references[0].model_copy(update={"id": central.id})
        forged(folder, 0, references=[named])
        board = board_of([hers])
        assert any("its reference has another" in problem for problem in board.problems)
        assert line(board, "FedAvg")[0][1] == (1, 2)
        return
    (conflict,) = board_of([runs, hers]).conflicts
    assert any(field in words for words in conflict.differing)


def test_many_conflicts_keep_the_overview_small(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for seed in range(130):
            write_pair(tmp_path / name, replace(BASE, rounds=2, seed=seed), noise=ord(name))
    build([tmp_path / "a", tmp_path / "b"], tmp_path / "site")
    overview = (tmp_path / "site/index.html").read_text()
    assert overview.count('class="conflict"') == 100 and "And 30 more." in overview
    assert len(overview) < 2_000_000


# files that do harm -----------------------------------------------------------------------------


def test_damaged_and_hostile_files_are_one_line_each_and_the_rest_is_built(runs, tmp_path):
    entries = tmp_path / "entries"
    entries.mkdir()
    good = zipped(entries / "good.zip", of(runs))
    (entries / "cut.zip").write_bytes(good.read_bytes()[:-100])
    (entries / "text.zip").write_text("no archive")
    (entries / "empty.zip").write_bytes(b"")
    run = of(runs)[0].name
    archive(entries / "path.zip", {f"{run}/../../../victim/config.yaml": b"x"})
    archive(entries / "absolute.zip", {"/tmp/victim": b"x"})
    archive(entries / "bomb.zip", {f"{run}/rounds.jsonl": b"0" * 2**26})
    (entries / "hostile<b>.zip").write_bytes(b"PK")
    os.mkfifo(entries / "pipe.zip")
    site = tmp_path / "site"
    answer = command("leaderboard", entries, "--out", site)
    assert answer.code == 0
    told = answer.err.splitlines()
    bad = ("cut", "text", "empty", "path", "absolute", "bomb", "hostile<b>")
    for name in bad:
        assert len([n for n in told if f"{name}.zip" in n]) == 1, (name, told)
    overview = (site / "index.html").read_text()
    assert overview.count("FedAvg") and "bomb.zip" in overview and "hostile<b>" not in overview
    assert {p.name for p in tmp_path.iterdir()} == {"runs", "entries", "site"}
    assert len(board_of([entries]).runs) == 9


def test_a_damaged_run_of_a_submission_is_told_under_its_name(runs, tmp_path):
    (folder,) = of(runs, "FedAvg-s0")
    forged(folder)
    (folder / "identity.json").write_text("{}")
    one = zipped(tmp_path / "a.zip", of(runs))
    board = board_of([one])
    (problem,) = board.problems
    assert str(one) in problem and folder.name in problem and "fednlp-" not in problem
    assert line(board, "FedAvg")[0][1] == (1, 2)


def test_a_place_where_nothing_is_is_an_error(tmp_path):
    told = command("leaderboard", tmp_path / "none.zip", "--out", tmp_path / "site").one_line()
    assert "no such directory or file" in told and not (tmp_path / "site").exists()


# places -----------------------------------------------------------------------------------------


def test_trees_folders_and_files_are_found(runs, tmp_path):
    tree = tmp_path / "tree"
    copied(runs, tree / "hers" / "more")
    zipped(tree / "his.zip", of(runs, "-s0-"))
    (tree / "hers" / "tuning").mkdir()
    write_pair(tree / "hers" / "tuning", replace(BASE, seed=9))  # a trial, which is in no table
    (tree / "hers" / "loop").symlink_to(tree)
    build([runs], tree / "site")
    board = board_of([tree])
    places = {str(tree / "hers" / "more"), str(tree / "his.zip")}
    assert {run.source for run in board.runs} <= places and len(board.runs) == 9
    assert not board.problems
    pair = [*of(runs, "FedAvg-s0"), *of(runs, "centralized-s0")]
    assert [n.gap.seeds for n in board_of(pair).lines] == [(0,)]


def test_trials_lie_where_suites_put_them():
    assert sources.TRIALS == trials.FOLDER


def test_a_second_build_reads_no_submission_again(runs, tmp_path):
    one, site = zipped(tmp_path / "a.zip", of(runs)), tmp_path / "site"
    assert build([one], site).read == 9
    again = build([one], site)
    assert again.read == 0 and again.kept == 18


def test_weights_of_a_submission_are_not_unpacked(runs, tmp_path):
    (folder, *_) = of(runs, "FedAvg-s0")
    name = f"{folder.name}/checkpoints/round-000004.safetensors"
    files = {f"{folder.name}/{n}": (folder / n).read_bytes() for n in ("result.json", MANIFEST)}
    about_of = archive(tmp_path / "about.zip", {**files, name: b"0" * 9})
    with zipfile.ZipFile(about_of) as made:
        about = made.read("submission.json")
    info = zipfile.ZipInfo(name)
    path = archive(tmp_path / "a.zip", files, about=about, infos=[(info, b"0" * 9)])
    for weights in (True, False):
        with open_submission(path, weights=weights) as submission:
            assert (submission.folders[0].parent / name).exists() == weights
    with sources.opened(path) as inside:
        assert not (inside.folders[0][0].parent / name).exists()


def test_what_submit_packed_is_what_the_folders_give(small_data, tmp_path):
    written(tmp_path, a=small_data())
    out = tmp_path / "runs"
    assert command("run", tmp_path / "a.yaml", "--out", out).code == 0
    federated = next(p for p in out.iterdir() if "FedAvg" in p.name)
    entry = tmp_path / "entry.zip"
    assert command("submit", federated, "--out", entry, "--weights").code == 0
    mine, theirs = board_of([out]), board_of([entry])
    assert [n.gap.gap for n in theirs.lines] == [n.gap.gap for n in mine.lines] != []


def test_the_table_says_whose_run_each_seed_is(runs, tmp_path):
    parts = [zipped(tmp_path / f"{seed}.zip", of(runs, f"-s{seed}-")) for seed in range(2)]
    build(parts, tmp_path / "site")
    page = next((tmp_path / "site/benchmark").glob("*.html")).read_text()
    assert page.count("0.zip, 1.zip") >= 2 and page.count(">0.zip</td>") == 2
    rows = json.loads((tmp_path / "site/data/all.json").read_text())["lines"]
    assert {row["sources"] for row in rows} == {f"{parts[0]}; {parts[1]}"}


def test_the_note_of_a_submission_is_text_where_its_runs_are(runs, tmp_path):
    entry, site = zipped(tmp_path / "entry.zip", of(runs, "-s0-")), tmp_path / "site"
    with zipfile.ZipFile(entry) as archived:
        files = {name: archived.read(name) for name in archived.namelist()}
    about = json.loads(files.pop("submission.json"))
    for note in ("made on <b>two</b> cores & a fan", "another note"):
        archive(entry, files, about=about | {"note": note})
        build([entry, runs], site)
        here = {
            p.relative_to(site).as_posix()
            for p in site.rglob("*.html")
            if note[:8] in p.read_text()
        }
        ids = {json.loads(files[name])["id"] for name in files if name.endswith("/result.json")}
        (benchmark,) = (site / "benchmark").glob("*.html")
        pages = {"index.html", f"benchmark/{benchmark.name}", *(f"run/{i[:24]}.html" for i in ids)}
        assert here == pages and len(ids) == 3  # not the runs of other places
        assert html.escape(note) in benchmark.read_text() and "<b>two" not in benchmark.read_text()
