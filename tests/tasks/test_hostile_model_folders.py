"""Damaged and hostile model folders: one line that names the folder, and nothing is unpickled."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest
from fuzzing import seeds
from small_models import build, folders, local_card, needs_data, tokenizer  # noqa: F401

from tasks.errors import DataError
from tasks.models import load_encoder
from tasks.tokenizers import load_tokenizer


@contextmanager
def in_time():
    """Raises TimeoutError in a block that waits."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Trap:
    """What unpickles it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def folder(folders, tmp_path):  # noqa: F811
    return Path(shutil.copytree(folders("bert"), tmp_path / "model"))


def load(folder, task="text_classification"):
    card = local_card(folder)
    loaded, _ = load_tokenizer(card, lambda: [], folder.parent / "cache")
    return build(card, task, loaded, max_length=16)


def one_line(folder, *words):
    for read in (load, lambda f: load_encoder(local_card(f))):
        if read is not load and not any("config" in w or "safetensors" in w for w in words):
            continue
        with pytest.raises(DataError) as error:
            read(folder)
        line = str(error.value)
        assert "\n" not in line and len(line) < 1000 and "model local" in line, line
        assert all(word in line for word in words), line


def settings(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_whole_folder_is_read(folder):
    assert load(folder).config.num_labels == 3


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "directory", "outside"])
def test_a_damaged_file_is_one_line(name, how, folder, tmp_path):
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "directory":
        path.mkdir()
    elif how == "outside":
        (tmp_path / "real").write_bytes(data)
        path.symlink_to(tmp_path / "real")
    one_line(folder, "link out of the folder" if how == "outside" else name.split(".")[-1][:6])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": -16}, "hidden_size: -16; expected a whole number from 1"),
        ({"hidden_size": "16"}, "hidden_size: '16'"),
        ({"hidden_size": 10**12}, "hidden_size: 1000000000000"),
        ({"hidden_size": 32}, "as config.json says"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: 1000000000"),
        ({"num_hidden_layers": 3}, "weights missing"),
        ({"num_attention_heads": 3}, "config.json"),
        ({"num_attention_heads": 0}, "num_attention_heads: 0"),
        ({"vocab_size": 10**7}, "as config.json says"),
        ({"max_position_embeddings": 10**7}, "as config.json says"),
        ({"hidden_dropout_prob": 7}, "hidden_dropout_prob: 7; expected a number from 0 to 1"),
        ({"hidden_act": "nothing"}, "config.json"),
        ({"model_type": "nonsense"}, "config.json"),
        ({"model_type": None}, "config.json"),
        ({"pad_token_id": 9999}, "pad"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ({"auto_map": {"AutoConfig": "evil.Config"}}, None),
        ({"transformers_weights": "adapter_model.bin"}, "transformers_weights"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
    ],
    ids=str,
)
def test_a_wrong_configuration_is_one_line(changes, words, folder):
    settings(folder, **changes)
    if words is None:  # code beside the weights is never run, and not needed here
        (folder / "evil.py").write_text("raise SystemExit(99)")
        load(folder)
        return
    with pytest.raises(DataError) as error:
        load(folder)
    line = str(error.value)
    assert words in line and "\n" not in line and len(line) < 1000, line


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "x/y"])
def test_a_pipe_is_not_waited_for(name, folder):
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    os.mkfifo(folder / name)
    with in_time(), pytest.raises(DataError) as error:
        load(folder)
    line = str(error.value)
    assert f"{Path(name).name} is a pipe or a device" in line and str(folder) in line, line


def test_weights_that_are_not_finite_are_one_line(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[3] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="holds NaN or infinities; expected finite weights"):
        load(folder)


def test_nothing_is_unpickled(folder, tmp_path):
    trap, sprung = pickle.dumps(Trap(tmp_path / "sprung")), tmp_path / "sprung"
    for name in ("pytorch_model.bin", "adapter_model.bin", "model.pkl", "training_args.bin"):
        (folder / name).write_bytes(trap)
    load(folder)
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(folder)})
    )
    with pytest.raises(DataError, match="adapter_config"):
        load(folder)
    (folder / "adapter_config.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match="pickled weights are never read"):
        load(folder)
    (folder / "model.safetensors").write_bytes(trap)
    with pytest.raises(DataError, match="safetensors"):
        load(folder)
    assert not sprung.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model": 1}', "\x00", '{"version": "9"}'])
def test_a_damaged_tokenizer_is_one_line(text, folder):
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(DataError, match="tokenizer") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_a_tokenizer_with_ids_beyond_the_model_is_one_line(folder):
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    token = {"content": "[FAR]", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}  # fmt: skip
    size = len(data["model"]["vocab"])
    data["model"]["vocab"]["zzz"] = size + 5000
    data["added_tokens"].append({"id": size + 9000, **token})
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="tokens; expected at most"):
        load(folder)


def test_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs(folder, tmp_path):
    snapshot, blobs = tmp_path / "models--x" / "snapshots" / "abc", tmp_path / "models--x" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in folder.iterdir():
        shutil.copy(path, blobs / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    load(snapshot)


# seeded damage ----------------------------------------------------------------------------------

VALUES = [None, True, False, -1, 0, 1, 2, 3, 10**6, 10**18, 1.5, -0.5, 1e300, "", "x", "16", [], {},
          [1, 2], {"a": 1}, "../..", "gelu", "bert", "t5", "float16", "float64"]  # fmt: skip


def damaged_config(path, rng):
    data = json.loads(path.read_text())
    for _ in range(rng.randint(1, 3)):
        key = rng.choice([*data, "torch_dtype", "is_decoder", "tie_word_embeddings", "num_labels",
                          "architectures", "id2label", "chunk_size_feed_forward", "rope_scaling",
                          "pruned_heads", "attn_implementation", "_attn_implementation",
                          "problem_type", "return_dict", "output_attentions", "add_cross_attention",
                          "layer_types", "sub_configs", "task_specific_params"])  # fmt: skip
        data[key] = rng.choice(VALUES)
    path.write_text(json.dumps(data))


def damaged_header(path, rng):
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    name = rng.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    kind = rng.randrange(6)
    if kind == 0:
        entry[rng.choice(["dtype", "shape", "data_offsets"])] = rng.choice(VALUES)
    elif kind == 1:
        entry["shape"] = [rng.choice([-1, 0, 1, 2**40, *entry["shape"]]) for _ in entry["shape"]]
    elif kind == 2:
        header[rng.choice(["x", "../x", name.upper()])] = header.pop(name)
    elif kind == 3:
        entry["data_offsets"] = [rng.randrange(-5, 10**6), rng.randrange(-5, 10**6)]
    elif kind == 4:
        entry["dtype"] = rng.choice(["F16", "I64", "BF16", "F8_E4M3", "BOOL", "F64", "U8"])
    text = bytearray(json.dumps(header).encode())
    length = len(text)
    if kind == 5:
        for _ in range(rng.randint(1, 4)):
            text[rng.randrange(len(text))] = rng.randrange(256)
        length = rng.choice([length, length, 0, 2**63, size + 1, length - 1])
    path.write_bytes(struct.pack("<Q", length) + bytes(text) + body)


def damaged_bytes(path, rng):
    content = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        content = content[: rng.randrange(len(content))]
    for _ in range(rng.randint(0, 5)):
        if content:
            content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def attempt(source, target, seeds):
    """How many of the damaged folders were refused; each in one line, whatever was done to them."""
    refused = 0
    for seed in seeds:
        rng = random.Random(seed)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=_writable)
        kind = rng.choice(["config", "header", "bytes", "bytes"])
        files = sorted(p.name for p in target.iterdir())
        name = {"config": "config.json", "header": "model.safetensors"}.get(kind)
        name = name or rng.choice([f for f in files if f.endswith(".json")])
        {"config": damaged_config, "header": damaged_header, "bytes": damaged_bytes}[kind](
            target / name, rng
        )
        try:
            load(target, rng.choice(["text_classification", "sequence_tagging", "seq2seq"]))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1500, f"seed {seed}: {error}"
        except BaseException as error:
            raise AssertionError(f"seed {seed}, {kind} of {name}: {error!r}") from error
    return refused


def _writable(source, target):
    shutil.copyfile(source, target)


def test_damaged_folders_are_one_line(folders, tmp_path):  # noqa: F811
    assert attempt(folders("bert"), tmp_path / "model", range(30)) > 5


@pytest.mark.long
def test_many_damaged_folders_are_one_line(folders, tmp_path):  # noqa: F811
    cases = seeds(250, 1000)
    assert attempt(folders("bert"), tmp_path / "model", cases) > len(cases) // 5


@pytest.mark.long
@needs_data
def test_damaged_copies_of_a_real_model_are_one_line(tmp_path):
    source = Path(os.environ["FEDNLP_DATA"]) / "models" / "minilm-l6-h384"
    assert attempt(source, tmp_path / "model", range(40)) > 5
