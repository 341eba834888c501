import numpy as np
import pytest

from fednlp.config_schema import SamplingConfig
from fednlp.errors import UserError
from fednlp.sampling import make_sampler

SIZES = np.array([5, 0, 50, 10, 100, 20, 1, 3])
NOBODY = np.array([], dtype=np.int64)


def sampler(name, k=3, gamma=1.0, held_out=NOBODY, seed=0, sizes=SIZES):
    config = SamplingConfig(name=name, clients_per_round=k, gamma=gamma)
    return make_sampler(config, sizes, held_out, seed)


@pytest.mark.parametrize("name", ["uniform", "proportional", "activity"])
def test_larger_cohorts_contain_smaller_ones(name):
    for round in range(20):
        cohorts = [sampler(name, k).cohort(round).tolist() for k in (1, 3, 7)]
        assert cohorts[2][:3] == cohorts[1] and cohorts[1][:1] == cohorts[0]
        assert len(set(cohorts[2])) == 7


def test_empty_and_held_out_clients_are_never_drawn():
    drawn = sampler("uniform", held_out=np.array([4]))
    assert drawn.clients.tolist() == [0, 2, 3, 5, 6, 7]


def test_seeds_and_rounds_change_the_cohort():
    cohorts = {tuple(sampler("uniform", seed=s).cohort(r)) for s in range(5) for r in range(5)}
    assert len(cohorts) > 15


@pytest.mark.parametrize(
    ("name", "gamma"), [("uniform", 1), ("proportional", 1), ("activity", 0.5)]
)
def test_inclusion_probabilities_match_the_draws(name, gamma):
    sizes = np.tile([1, 2, 4, 8, 16], 20)
    drawn = sampler(name, 10, gamma, sizes=sizes)
    counts = np.zeros(len(sizes))
    for round in range(4000):
        counts[drawn.cohort(round)] += 1
    for size in (1, 2, 4, 8, 16):
        group = sizes == size
        seen, said = counts[group].mean() / 4000, drawn.probability[group].mean()
        assert seen == pytest.approx(said, rel=0.05)
    assert drawn.probability.sum() == pytest.approx(10)


def test_few_clients_have_exact_inclusion_probabilities():
    """One draw: proportional to size. All but one: by counting orders of three clocks."""
    sizes = np.array([1000, 1, 1, 1])
    assert sampler("proportional", 1, sizes=sizes).probability == pytest.approx(sizes / 1003)
    a, b, c = 5.0, 2.0, 1.0
    last_c = (a / 8) * (b / 3) + (b / 8) * (a / 6)  # the client of size 1 comes last
    last_b = (a / 8) * (c / 3) + (c / 8) * (a / 7)
    found = sampler("proportional", 2, sizes=np.array([5, 2, 1])).probability
    assert found == pytest.approx([last_c + last_b, 1 - last_b, 1 - last_c], abs=1e-6)


def test_integral_and_approximation_meet_where_one_replaces_the_other(monkeypatch):
    sizes = np.tile([1, 3, 10, 30], 16)
    exact = sampler("proportional", 8, sizes=sizes).probability
    monkeypatch.setattr("fednlp.sampling.FEW", 0)
    assert sampler("proportional", 8, sizes=sizes).probability == pytest.approx(exact, rel=0.03)


def test_weights_do_not_count_size_twice():
    """Horvitz-Thompson: the weighted total of a cohort estimates the population's total."""
    sizes = np.tile([1, 10, 100], 30)
    values = np.arange(90, dtype=float)  # what each client would upload
    drawn = sampler("proportional", 9, sizes=sizes)
    estimates = []
    for round in range(3000):
        cohort = drawn.cohort(round)
        weight = drawn.sizes[cohort] / drawn.probability[cohort]
        estimates.append((weight @ values[cohort], weight.sum()))
    total, weight = np.mean(estimates, axis=0)
    assert total / weight == pytest.approx((sizes @ values) / sizes.sum(), rel=0.02)


def test_expected_examples_of_uniform_sampling():
    drawn = sampler("uniform", 7)
    assert drawn.expected_examples() == pytest.approx(SIZES.sum())


def test_a_cohort_larger_than_the_population_is_one_line():
    with pytest.raises(UserError, match=r"sampling\.clients_per_round: 8 clients.*at most 7"):
        sampler("uniform", 8)
