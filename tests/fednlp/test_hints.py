"""Mistakes of somebody who brings data of their own: the line names the cause and the cure."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import yaml
from harness import command

ROWS = "".join(f"{n % 2},text {n},u{n % 3}\n" for n in range(40))
GOOD = f"label,text,user\n{ROWS}"
CARD = {"name": "mine", "task": "text_classification", "version": 1, "licence": "l",
        "language": "en", "description": "d", "skew": "label", "test": {"fraction": 0.25},
        "local": {"reader": "table", "files": {"train": "./f.csv"}}}  # fmt: skip
TAGGING = {"task": "sequence_tagging", "skew": "entity_types"}
ASKING = {"task": "question_answering", "skew": "title"}


@pytest.fixture
def show(small_data, tmp_path, monkeypatch):
    """A function: the content of files and changes of the card -> what `show` says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDNLP_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()

    def run(content=GOOD, local=None, config=None, file="f.csv", **changes):
        given = {**CARD["local"], "files": {"train": f"./{file}"}, **(local or {})}
        card = {**CARD, **changes, "local": given}
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / file).write_bytes(data)
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
        mapping = small_data({"dataset": "mine.yaml", "partition.clients": 3})
        (tmp_path / "run.yaml").write_text(yaml.safe_dump({**mapping, **(config or {})}))
        return command("show", "run.yaml")

    return run


def excel():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


@pytest.mark.parametrize(("content", "message"), [
    (excel(), "f.csv: an Excel file; expected a text file; export it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "f.csv: an Excel file"),
    (GOOD.replace(",", ";"), "expected one of label;text;user; set local.options.delimiter: ';'"),
    (GOOD.replace(",", ", "), "expected one of 'label', ' text', ' user'"),
    (GOOD.replace("0,", "1,"), "dataset mine: every label is '1'; expected at least two labels; "
                               "check the files and the label column in /"),
    (GOOD.replace("text 39", '"text 39'), "line 41: a quote that is not closed"),
])  # fmt: skip
def test_tables(show, content, message):
    assert message in show(content).one_line()


def test_a_directory_is_no_table(show, tmp_path):
    (tmp_path / "d.csv").mkdir()
    line = show(local={"files": {"train": "./d.csv"}}).one_line()
    assert f"{tmp_path}/d.csv: is a directory; expected a CSV or TSV file; name a file in" in line


def test_a_file_beside_the_card(show, monkeypatch):
    line = show(local={"files": {"train": "f.csv"}}).one_line()
    assert "write ./f.csv for the file beside the card, or check FEDNLP_DATA" in line
    monkeypatch.delenv("FEDNLP_DATA")
    line = show(local={"files": {"train": "f.csv"}}).one_line()
    assert "write ./f.csv for the file beside the card, or set FEDNLP_DATA" in line
    assert "./g.csv" not in show(local={"files": {"train": "g.csv"}}).one_line()
    line = show(local={"files": {"train": "/dev/null"}}).one_line()
    assert "a device or a pipe, at /dev/null; check FEDNLP_DATA" in line and "./" not in line


@pytest.mark.parametrize(("options", "message"), [
    ({"label_names": []}, "local.options.label_names: empty; expected names, such as [bad, good"),
    ({"label_names": ["a", "b", "a"]}, "local.options.label_names: 'a' twice; expected every name"),
    ({"label_names": {0: "bad", 1: " "}}, "label_names: the name of 1: an empty name"),
    ({"label_names": ["bad", ""]}, "label_names: the name of 1: an empty name"),
    ({"label_names": {"": "bad"}}, "label_names: a key: an empty label"),
    ({"columns": {"text": "label"}}, "columns: text and label are both 'label'"),
    ({"columns": {"text": "user", "label": "user"}}, "columns: text and label are both 'user'"),
])  # fmt: skip
def test_options(show, options, message):
    assert message in show(local={"options": options}).one_line()


def test_labels_that_are_numbers_and_codes(show):
    content = GOOD.replace("0,text 38", "n/a,text 38")
    options = {"label_names": {0: "bad", 1: "good", "n/a": "unknown"}}
    assert show(content, local={"options": options}).code == 0


def test_a_client_may_be_the_label(show):
    options = {"columns": {"client": "label"}, "label_names": {0: "bad", 1: "bad", 2: "good"}}
    assert "every label is 'bad'" in show(local={"options": options}).one_line()
    assert show(local={"options": {"columns": {"client": "label"}}}).code == 0


def test_other_formats(show):
    lines = "".join(json.dumps({"words": ["a", "b"], "tags": [0, 1]}) + "\n" for _ in range(9))
    line = show(lines, file="f.jsonl", **TAGGING).one_line()
    assert "tag '0', a number; expected the name of a tag; set local.options.label_names" in line
    line = show("Ada B-PER\nsleeps O\n\n" * 9, {"reader": "conll"}, **TAGGING).one_line()
    assert "line 1: 1 column; expected a word and its tag with '\\t' between; " in line
    assert 'set local.options.separator, such as " "' in line
    question = {"id": 7, "question": "Where?", "answers": [{"text": "Rome", "answer_start": 0}]}
    content = {"data": [{"title": "t", "paragraphs": [{"context": "Rome", "qas": [question]}]}]}
    line = show(json.dumps(content), {"reader": "squad_json"}, **ASKING).one_line()
    assert "id: 7; expected text; set local.options.integer_ids: true" in line


def test_times_of_an_unknown_zone(show):
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = pa.array([1, 2], pa.timestamp("us", tz="Mars/Olympus"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", "b"], "label": times}), buffer)
    line = show(buffer.getvalue(), file="f.parquet").one_line()
    assert "f.parquet: column 'label' has times of the zone 'Mars/Olympus'" in line


def test_cards_that_are_taken_for_others(show, tmp_path):
    line = show(config={"model": "mine.yaml"}).one_line()
    assert "mine.yaml: the card of a data set; expected the card of a model" in line
    model = {"name": "m", "description": "d", "licence": "l", "tasks": ["seq2seq"]}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(model))
    line = show(config={"dataset": "model.yaml"}).one_line()
    assert "model.yaml: the card of a model; expected the card of a data set" in line


def test_an_unknown_member(show, tmp_path):
    joined = {key: value for key, value in CARD.items() if key not in ("local", "test")}
    joined |= {"name": "all", "members": {"squadd": {}}}
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(joined))
    line = show(config={"dataset": "all.yaml"}).one_line()
    assert "dataset all members: no card 'squadd'; did you mean 'squad'?" in line


# what `show` says of data ----------------------------------------------------------------------


def test_what_was_read(show):
    content = GOOD.replace("1,text 1,", "[bold],text 1,") + "1,,u1\n"
    config = {"dataset": {"name": "mine.yaml", "skip_bad": 1}, "partition": {"name": "natural"},
              "sampling": {"clients_per_round": 2}}  # fmt: skip
    answer = show(content, {"options": {"columns": {"client": "user"}}}, config)
    assert answer.code == 0, answer.err
    shown = " ".join(answer.out.replace("│", " ").split())
    for words in (
        "examples 27 train, 3 validation, 10 test", "labels 3: 0, 1, [bold]",
        "clients 3: smallest ", "bad records left out 1",
    ):  # fmt: skip
        assert words in shown, words
    assert "labels of test alone" not in shown


def test_small_sets_are_clustered_too(show):
    lines = "".join(f'{{"input": "a text {n}", "targets": "b"}}\n' for n in range(8))
    rewriting = {"task": "seq2seq", "skew": "cluster"}
    assert show(lines, file="f.jsonl", **rewriting).code == 0


def test_a_card_is_called_by_its_name(show):
    assert " called-so-tiny-" in show(name="called_so").out  # not by its file


def test_tweets_without_a_user_are_in_no_natural_client(show):
    """The reader allows them: the card promises no client."""
    tweets = "".join(f'"{n % 2 * 4}","{n}","d","q","{"ann" if n % 4 else ""}","text {n}"\n'
                     for n in range(40))  # fmt: skip
    natural = {"partition": {"name": "natural"}, "sampling": {"clients_per_round": 1}}
    line = show(tweets, {"reader": "sentiment140"}, natural).one_line()
    assert (
        "partition.name: " in line and "training examples of mine have no client; expected" in line
    )


def test_test_examples_that_stand_in_train_and_labels_that_do_not(show, tmp_path):
    (tmp_path / "t.csv").write_text("label,text\n0,text 0\n1,text 1\n2,another\n0,text 0 \n")
    answer = show(local={"files": {"train": "./f.csv", "test": "./t.csv"}}, test=None)
    assert "labels of test alone 1: 2" in " ".join(answer.out.replace("│", " ").split())
    answer = command("run", "run.yaml", "rounds=1", "--out", "runs")
    assert answer.code == 0, answer.err
    for path in (tmp_path / "runs").glob("*/result.json"):
        notes = json.loads(path.read_text())["notes"]
        assert "test examples whose input stands in train as well: 2" in notes
        assert "labels of test that no training example has: 1: 2" in notes


def test_a_finished_run_is_not_reused_where_records_were_left_out(show, tmp_path):
    """Its examples are the same, but its result would count none, and none is what it may skip."""
    assert show().code == 0
    assert command("run", "run.yaml", "rounds=1", "--out", "runs").code == 0
    clean = set((tmp_path / "runs").iterdir())
    with (tmp_path / "f.csv").open("a", encoding="utf-8") as file:
        file.write("1,,u1\n")
    assert command("run", "run.yaml", "rounds=1", "--skip-bad", "1", "--out", "runs").code == 0
    found = {path: json.loads((path / "result.json").read_text())["data"]["skipped"]
             for path in (tmp_path / "runs").iterdir()}  # fmt: skip
    assert {path for path, skipped in found.items() if skipped == 0} == clean
    assert sorted(found.values()) == [0, 0, 1, 1]
    new = next(path for path in found if found[path] and "centralized" not in path.name)
    assert command("export-model", new, "model").code == 0
    for path in clean:
        assert not {"skipped", "left_out"} & json.loads(
            (path / "identity.json").read_text()
        )["content"].keys()  # fmt: skip
