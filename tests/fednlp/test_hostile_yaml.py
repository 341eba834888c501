"""Whatever stands in a YAML file, the answer is one line and exit code 2."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from fuzzing import seeds, times
from harness import ROOT, command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fednlp import config as configuration
from fednlp.cards import dataset_card, model_card
from fednlp.errors import is_user_error
from fednlp.experiment import check_components
from fednlp.suite import load_suite
from fednlp.yaml_files import load_mapping, parse_value

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "laughs": (LAUGHS.encode(), "more than 100,000 values"),
    "laughs in keys": (b"a: &a {x: 1}\nb: {<<: [*a, *a], y: *b}\n", "bad.yaml"),
    "a circle": (b"a: &a {b: *a}\n", "contains itself"),
    "python": (b"a: !!python/object/apply:os.system [ls]\n", "python/object"),
    "a set": (b"a: !!set {x, y}\n", "found the tag"),
    "binary": (b"a: !!binary aGVsbG8=\n", "found the tag"),
    "own tag": (b"a: !mine 1\n", "found the tag"),
    "twice": (b"rounds: 1\nrounds: 2\n", "stands twice"),
    "twice, quoted": (b"rounds: 1\n'rounds': 2\n", "stands twice"),
    "tab": (b"client:\n\tlr: 1\n", "not valid YAML"),
    "NUL": (b"rounds: 1\0\n", "not valid YAML"),
    "NUL escaped": (b'dataset: "a\\0b"\n', "no file may hold"),
    "surrogate": (b'dataset: "\\ud800"\n', "bad.yaml"),
    "latin": (b"dataset: caf\xe9\n", "not UTF-8"),
    "utf-16": ("rounds: 1\n".encode("utf-16"), "not UTF-8"),
    "deep flow": (b"a: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "deep block": (b"".join(b" " * n + b"a:\n" for n in range(40)), "nested too deeply"),
    "large": (b"a: b\n" * 2_200_000, "larger than 1 MiB"),
    "long line": (b"dataset: " + b"x" * 900_000, "bad.yaml"),
    "many digits": (b"rounds: " + b"9" * 6000, "bad.yaml"),
    "infinite": (b"client: {lr: .inf}\ndataset: x\nmodel: x\npartition: x\n", "client.lr"),
    "list key": (b"? [a, b]\n: 1\n", "bad.yaml"),
    "null key": (b"~: 1\n", "bad.yaml"),
    "merged extends": (b"<<: {extends: 3}\n", "extends"),
    "two documents": (b"rounds: 1\n---\nrounds: 2\n", "not valid YAML"),
    "a directive": (b"%YAML 9.9\n---\nrounds: 1\n", "not valid YAML"),
    "an alias to nothing": (b"rounds: *a\n", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["show", "suite", "dataset", "model"])
def test_hostile_text_is_one_line(name, kind, small_data, tmp_path):
    content, words = HOSTILE[name]
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    if kind in ("dataset", "model"):
        config = tmp_path / "run.yaml"
        config.write_text(yaml.safe_dump(small_data({f"{kind}.name": str(path), "dataset.sizes":
                                                      None})))  # fmt: skip
        line = command("show", config).one_line()
        assert str(path) in line, line
    else:
        line = command(kind, path).one_line()
    assert len(line) < 1000, line[:2000]
    if kind == "show":
        assert words in line, line


@pytest.mark.parametrize("name", ["BOM", "CRLF", "date"])
def test_harmless_text_is_read(name, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    text = yaml.safe_dump(small_data())
    texts = {"BOM": "\ufeff" + text, "CRLF": text.replace("\n", "\r\n")}
    path.write_bytes((texts.get(name) or "rounds: 2020-01-01\n").encode())
    if name == "date":  # text, as JSON has it, and no number of rounds
        assert load_mapping(path)[0] == {"rounds": "2020-01-01"}
    else:
        assert configuration.load(path).rounds == 2


@pytest.mark.parametrize("text", ["[" * 3000, "*a", "!!python/name:os.system", "2020-99-99", LAUGHS,
                                  "9" * 6000, '"\\0"', "\0", "{a: 1, a"])  # fmt: skip
def test_hostile_overrides_are_one_line(text, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(small_data()))
    line = command("show", path, f"rounds={text}").one_line()
    assert len(line) < 1000


def test_a_suite_of_too_many_runs_is_one_line(small_data, tmp_path):
    path = tmp_path / "suite.yaml"
    axes = {key: list(range(1, 101)) for key in ("rounds", "client.epochs", "client.batch_size")}
    path.write_text(yaml.safe_dump({"base": small_data(), "matrix": axes}))
    assert "asks for 1,000,000 runs" in command("suite", path).one_line()


# any value at any key ---------------------------------------------------------------------------

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "x.yaml", "../x", "/dev/null", "~", "a:b", "tiny", "uniform", "$x", "\u202e", "nan", "."]
)
NUMBER = st.one_of(
    st.integers(), st.sampled_from([0, -1, 2**31, 2**63, 10**30]), st.floats(allow_nan=True)
)
SCALAR = st.one_of(st.none(), st.booleans(), NUMBER, TEXT)
ANY = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | NUMBER, inner, max_size=3),
    max_leaves=8,
)


def spots(value, path=()):
    """Every place of a nested mapping or list."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from spots(inner, (*path, key))


def changed(data, path, value):
    """A copy with one place replaced."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


def _known(name):
    return yaml.safe_load((ROOT / "configs" / name).read_text())


def sources(small_data):
    """Kind -> whole files of it, as data."""
    whole = configuration.build(small_data(), "x").resolved()
    base = {"extends": "other.yaml", **small_data()}
    suite = {
        "name": "s", "base": small_data(), "seeds": [0, 1],
        "matrix": {"a": {"b": {"rounds": 3}}, "algorithm": ["fedavg", {"name": "fedprox"}]},
    }  # fmt: skip
    datasets = [_known(f"datasets/{p.name}") for p in (ROOT / "configs/datasets").glob("*.yaml")]
    models = [_known(f"models/{p.name}") for p in (ROOT / "configs/models").glob("*.yaml")]
    return {"run": [whole, base], "suite": [suite], "dataset": datasets, "model": models}


def read(kind, path):
    """As the commands do, as far as that reads no data; user errors are what may happen."""
    try:
        if kind == "run":
            check_components(configuration.load(path), str(path))
        elif kind == "suite":
            for planned in load_suite(path, []):
                check_components(planned.config, str(path))
        elif kind == "dataset":
            dataset_card(str(path))
        else:
            model_card(str(path))
    except ValueError as error:
        if not is_user_error(error):
            raise
        assert "\n" not in str(error) and len(str(error)) < 1500


def try_values(kind, small_data, folder, examples):
    known = sources(small_data)[kind]
    path = Path(folder) / f"{kind}.yaml"

    @settings(
        max_examples=examples, deadline=None, derandomize=examples < 1000, database=None,
        print_blob=True, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def attempt(data):
        whole = data.draw(st.sampled_from(known))
        place = data.draw(st.sampled_from(list(spots(whole))))
        value = data.draw(ANY)
        text = yaml.dump(changed(whole, place, value), allow_unicode=True)
        path.write_text(text, encoding="utf-8", errors="replace")
        read(kind, path)

    attempt()


@pytest.mark.parametrize("kind", ["run", "suite", "dataset", "model"])
def test_any_value_at_any_key(kind, small_data, tmp_path):
    try_values(kind, small_data, tmp_path, 60)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["run", "suite", "dataset", "model"])
def test_many_values_at_any_key(kind, small_data, tmp_path):
    try_values(kind, small_data, tmp_path, times(2500))


def mutate(kind, small_data, folder, seeds):
    """Bytes of whole files changed at random places."""
    path = Path(folder) / f"{kind}.yaml"
    texts = [yaml.safe_dump(data).encode() for data in sources(small_data)[kind]]
    for seed in seeds:
        rng = random.Random(seed)
        content = bytearray(rng.choice(texts))
        for _ in range(rng.randint(1, 6)):
            spot = rng.randrange(len(content))
            piece = rng.choice([b"&a ", b"*a", b"!!x ", b"\0", b"\t", b": ", b"- ", b"\xff", b"{",
                                b"[", b"\n", b"'", b"<<: ", b"%", b"|", b"1e999", b"\xed\xa0\x80",
                                rng.randbytes(2)])  # fmt: skip
            content[spot : spot + rng.randrange(4)] = piece
        path.write_bytes(content)
        try:
            read(kind, path)
        except BaseException as error:
            raise AssertionError(f"{kind}, seed {seed}: {error!r}") from error


@pytest.mark.parametrize("kind", ["run", "suite", "dataset", "model"])
def test_mutated_files(kind, small_data, tmp_path):
    mutate(kind, small_data, tmp_path, range(40))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["run", "suite", "dataset", "model"])
def test_many_mutated_files(kind, small_data, tmp_path):
    mutate(kind, small_data, tmp_path, seeds(2500, 1000))


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_override_text(text):
    try:
        parse_value(text, "here")
    except ValueError as error:
        assert is_user_error(error)
