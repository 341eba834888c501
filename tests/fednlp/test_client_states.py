"""States of clients in a run's folder: a first one only for who has not trained."""

import pytest
import torch

from fednlp.client_states import StoredStates
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.results.run_folder import RunFolder


def test_a_state_that_is_elsewhere_is_not_begun_again(small_config, tmp_path):
    experiment = Experiment(small_config({"algorithm": "scaffold", "client.optimizer": "sgd"}))
    method = Hooks(experiment.algorithm)
    first = method.init_client(experiment.initial_weights, "client 0, round 1")
    with RunFolder(tmp_path / "run") as folder:
        folder.log(
            {"round": 1, "clients": [0, 1, 2], "skipped": [1], "bytes_up": 0, "bytes_down": 0}
        )
        kept = {name: tensor + 1 for name, tensor in first.items()}
        folder.put_client_state(2, 0, kept)
        folder.put_state(1, {"weights": experiment.initial_weights})
        folder.commit(1)
        states = StoredStates(experiment, folder, method)
        for client in (1, 3):  # left out; never drawn
            found = states.load(client, 1)
            assert all(torch.equal(found[name], tensor) for name, tensor in first.items())
        assert all(torch.equal(states.load(2, 1)[name], tensor) for name, tensor in kept.items())
        with pytest.raises(UserError, match="client 0, round 2: has trained in round 1"):
            states.load(0, 1)


def test_a_state_of_an_earlier_round_is_not_the_last_one(small_config, tmp_path):
    """Of a run that another engine has extended: its clients have gone on elsewhere."""
    experiment = Experiment(small_config({"algorithm": "scaffold", "client.optimizer": "sgd"}))
    method = Hooks(experiment.algorithm)
    with RunFolder(tmp_path / "run") as folder:
        first = method.init_client(experiment.initial_weights, "client 0, round 1")
        for client in (0, 1):
            folder.put_client_state(client, 0, first)
        for number, clients in ((1, [0, 1]), (2, [0])):
            folder.log({"round": number, "clients": clients, "bytes_up": 0, "bytes_down": 0})
        folder.put_state(2, {"weights": experiment.initial_weights})
        folder.commit(2)
        states = StoredStates(experiment, folder, method)
        assert states.load(1, 2).keys() == first.keys()
        with pytest.raises(UserError, match="client 0, round 3: has trained in round 2, and its"):
            states.load(0, 2)
        states.store(0, 2, first)
        assert states.load(0, 3).keys() == first.keys()
