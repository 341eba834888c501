"""What clients keep: longer runs and other engines go on with it; what is collected is checked."""

from __future__ import annotations

import shutil

import pytest
from harness import contents, digests, run

from fednlp.engines.fedml import library
from fednlp.errors import UserError

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

from fedml_loopback import FEDERATED, federated

from fednlp.engines.fedml.codec import decode, encode
from fednlp.engines.fedml.messages import Answer, ClientState

STATEFUL = ["scaffold", "ditto"]
LOCAL = {**FEDERATED, "engine.name": "local", "engine.workers": 1}
HANDED = "client states sent to their silos again"


def changes(algorithm, rounds):
    return {"algorithm": algorithm, "rounds": rounds, "evaluation.min_client_examples": 5}


def kept(found) -> dict[str, bytes]:
    return {k: v for k, v in contents(found.path).items() if k.startswith("clients")}


def same(ours, theirs):
    assert digests(ours) == digests(theirs) and kept(ours) == kept(theirs) != {}


@pytest.mark.parametrize("algorithm", STATEFUL)
def test_a_federation_that_keeps_states_is_extended(algorithm, small_config, tmp_path):
    whole = run(small_config({**LOCAL, **changes(algorithm, 5)}), tmp_path / "whole")
    federated(small_config, tmp_path / "run", changes(algorithm, 2))
    longer = federated(small_config, tmp_path / "run", changes(algorithm, 5))
    same(longer, whole)
    assert any(HANDED in note for note in longer.result.notes)


def test_one_that_was_stopped_is_extended_from_what_its_silos_have(small_config, tmp_path):
    whole = run(small_config({**LOCAL, **changes("scaffold", 5)}), tmp_path / "whole")

    def stops(rank, body, frame):
        if isinstance(body, Answer) and body.round == 2:
            raise KeyboardInterrupt
        return None

    with pytest.raises(KeyboardInterrupt):
        federated(small_config, tmp_path / "run", changes("scaffold", 3), alter=stops)
    same(federated(small_config, tmp_path / "run", changes("scaffold", 5)), whole)


def test_silos_that_have_nothing_go_on_with_what_was_collected(small_config, tmp_path):
    whole = run(small_config({**LOCAL, **changes("scaffold", 5)}), tmp_path / "whole")
    federated(small_config, tmp_path / "run", changes("scaffold", 2))
    shutil.rmtree(tmp_path / "run" / "silos")
    same(federated(small_config, tmp_path / "run", changes("scaffold", 5)), whole)


def test_another_engines_run_is_taken_over_and_back(small_config, tmp_path):
    whole = run(small_config({**LOCAL, **changes("scaffold", 5)}), tmp_path / "whole")
    run(small_config({**LOCAL, **changes("scaffold", 2)}), tmp_path / "run")
    federated(small_config, tmp_path / "run", changes("scaffold", 3))
    same(run(small_config({**LOCAL, **changes("scaffold", 5)}), tmp_path / "run"), whole)


def test_what_another_history_has_left_with_silos_does_not_count(small_config, tmp_path):
    """The folder's own states are what the server hands out."""
    whole = run(small_config({**LOCAL, **changes("scaffold", 5)}), tmp_path / "whole")
    federated(small_config, tmp_path / "run", changes("scaffold", 2))
    for path in (tmp_path / "run" / "silos").rglob("*.safetensors"):
        path.write_bytes(b"another's")
    same(federated(small_config, tmp_path / "run", changes("scaffold", 5)), whole)


def test_a_lost_state_is_told_without_the_advice_to_do_without_it(small_config, tmp_path):
    """Clients that have lost what they keep never answer again."""

    def loses(rank, body, frame):
        if isinstance(body, Answer) and body.round == 2:
            for path in (tmp_path / "silos").rglob("*.safetensors"):
                path.unlink()
        return None

    with pytest.raises(UserError, match=r"its state after round \d is not in .*; put it back") as e:
        federated(small_config, tmp_path, changes("scaffold", 4), alter=loses)
    assert "min_clients" not in str(e.value) and "the same command continues" in str(e.value)


def renamed(tensors):
    return {f"other {name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda t: {k: v[:-1] for k, v in t.items()}, r"a state that has 'control' as float32 \["),
        (lambda t: {k: v.double() for k, v in t.items()}, r"'control' as float64 \["),
        (renamed, "has 'other control' instead of 'control'"),
        (lambda t: {}, "has no tensor instead of 'control'"),
    ],
)
def test_a_collected_state_is_of_the_methods_names_types_and_shapes(
    how, reason, small_config, tmp_path
):
    def alter(rank, body, frame):
        if not isinstance(body, ClientState):
            return None
        fields, tensors = decode(frame, 1 << 30)
        return [encode(fields, how(tensors))]

    with pytest.raises(UserError, match=rf"state of client \d, round \d: silo .*{reason}") as error:
        federated(small_config, tmp_path, {"algorithm": "scaffold"}, alter=alter)
    assert "\n" not in str(error.value)
    again = federated(small_config, tmp_path, {"algorithm": "scaffold"})  # only collects
    assert kept(again)
