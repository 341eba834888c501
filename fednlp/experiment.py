"""Everything a run needs, built once from a configuration: data, tokens, model, split, method.

Parts are built when first asked for. Corpora and token stores are shared by all experiments of a
process, and cached on disk under the hash of what made them.
"""

from __future__ import annotations

import json
import os
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from algorithms.algorithm import Algorithm
from fednlp import places
from fednlp.cards import dataset_card, model_card
from fednlp.components import build_algorithm
from fednlp.config_schema import PartitionConfig, RunConfig, central_client
from fednlp.cpu_kernels import use_cpu_kernels
from fednlp.cuda_attention import always_mask
from fednlp.errors import UserError, relocated
from fednlp.flat_model import FlatModel
from fednlp.frozen_layers import FrozenLayers, choose_layers, read_ahead
from fednlp.local_training import LocalTrainer, TakenSteps
from fednlp.partitions.build import build_partition, check_partition
from fednlp.processes import all_threads, client_threads, repeatable_kernels, worker_count
from fednlp.random_streams import generator, integer_seed
from fednlp.sampling import Sampler, make_sampler
from fednlp.together.choice import Together, choose
from partitioners.partition import Partition
from tasks import TASKS
from tasks.data import Corpus, check_request, load_corpus
from tasks.model_card import ModelCard, ModelOverrides
from tasks.task import Task, TokenSettings
from tasks.token_store import TokenStore, cached_store

if TYPE_CHECKING:
    from fednlp.engines.engine import Engine
    from fednlp.engines.workers import Workers

GENERATED_VALIDATION = 200  # examples, where validation has to generate texts
SPLITS = ("train", "validation", "test")


class Experiment:
    """The parts of the runs of one configuration (one seed)."""

    own_kernels = True  # on a CPU; benchmarks compare with torch's

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    # data ------------------------------------------------------------------------------------

    @cached_property
    def corpus(self) -> Corpus:
        return _corpus(self.config.dataset.model_dump_json())

    @cached_property
    def task(self) -> Task:
        return TASKS[self.corpus.task](self.corpus.labels, token_settings(self.config))

    @property
    def token_settings(self) -> dict[str, int]:
        """The keys of `tokens` that the task reads."""
        return self.config.tokens.model_dump(include=set(self.task.token_settings))

    @cached_property
    def tokenizer(self) -> tuple[Any, str]:
        """The tokenizer and its hash."""
        from tasks.tokenizers import load_tokenizer

        return load_tokenizer(
            self.model_card, self._training_texts, places.cache_dir(), data_root=places.data_root()
        )

    def _training_texts(self) -> list[str]:
        return self.task.tokenizer_texts(self.corpus.splits["train"])

    @cached_property
    def token_stores(self) -> dict[str, TokenStore]:
        """Tokens of the three splits, in the memory of this machine."""
        return {split: self._token_store(split) for split in SPLITS}

    def _token_store(self, split: str) -> TokenStore:
        return cached_store(
            self.store_key(split),
            lambda: self.task.encode(
                self.corpus.splits[split], self.tokenizer[0], split == "train"
            ),
            places.cache_dir(),
        )

    def store_key(self, split: str) -> dict[str, Any]:
        """What the tokens of a split depend on: JSON values."""
        return {
            "data": self.corpus.fingerprint,
            "split": split,
            "tokenizer": self.tokenizer[1],
            "task": self.corpus.task,
            "tokens": self.token_settings,
        }

    @cached_property
    def stores(self) -> dict[str, TokenStore]:
        """What the model reads of the three splits, on the device."""
        trunk = self.frozen_layers.trunk
        stores = self.token_stores if trunk is None else read_ahead(self, trunk)
        return {split: store.to(self.device) for split, store in stores.items()}

    @cached_property
    def frozen_layers(self) -> FrozenLayers:
        """The first layers of the model that are computed once."""
        return choose_layers(self)

    # model -----------------------------------------------------------------------------------

    @cached_property
    def model_card(self) -> ModelCard:
        return model_card(self.config.model.name)

    @cached_property
    def model(self) -> FlatModel:
        from tasks.models import build_model

        wanted = self.config.model.model_dump(exclude={"name"})
        module = build_model(
            self.model_card,
            self.task,
            labels=self.corpus.labels,
            tokenizer=self.tokenizer[0],
            seed=integer_seed(self.config.seed, "init"),
            overrides=ModelOverrides.model_validate(wanted),
            max_length=_longest(self.task),
            data_root=places.data_root(),
        )
        self.prepare(module)
        return FlatModel(module, self.device)

    def prepare(self, module: nn.Module) -> None:
        """Switches a module, in place, to what suits the device."""
        if self.uses_own_kernels:
            use_cpu_kernels(module)
        if self.device.type == "cuda":
            always_mask(module)

    @property
    def uses_own_kernels(self) -> bool:
        config, on_cpu = self.config, self.device.type == "cpu"
        plain = config.precision == "fp32" and not config.engine.compile
        return self.own_kernels and on_cpu and plain

    @cached_property
    def initial_weights(self) -> Tensor:
        """[P], before any training."""
        return self.model.weights.clone()

    @cached_property
    def device(self) -> torch.device:
        wanted = self.config.engine.device
        if wanted == "cuda" and not torch.cuda.is_available():
            raise UserError("engine.device", "no CUDA device is usable here", "cpu or auto")
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(wanted)

    # split and method ------------------------------------------------------------------------

    @cached_property
    def partition(self) -> Partition:
        return _partition(
            self.config.partition.model_dump_json(), self.config.dataset.model_dump_json()
        )

    @cached_property
    def sampler(self) -> Sampler:
        return make_sampler(
            self.config.sampling,
            self.partition.splits["train"].sizes(),
            self.partition.held_out,
            self.config.seed,
        )

    @cached_property
    def algorithm(self) -> Algorithm:
        return build_algorithm(self.config)

    @cached_property
    def union(self) -> np.ndarray:
        """[n] int64, sorted: every example that some client may train on."""
        train = self.partition.splits["train"]
        return np.sort(np.concatenate([train.client(int(k)) for k in self.sampler.clients]))

    @property
    def examples_per_round(self) -> float:
        """Expected examples that a round processes: cohort examples x local epochs."""
        return self.sampler.expected_examples() * self.config.client.epochs

    @cached_property
    def validation_indices(self) -> np.ndarray:
        """[n] int64: the validation examples that are evaluated, a seeded subset if asked for."""
        count = len(self.corpus.splits["validation"])
        usual = GENERATED_VALIDATION if self.task.generates else count
        wanted = self.config.evaluation.validation_examples or usual
        order = generator(0, "validation subset").permutation(count)
        return np.sort(order[:wanted])

    @cached_property
    def engine(self) -> Engine:
        """What runs clients and scores examples."""
        from fednlp.engines.build import build_engine

        return build_engine(self)

    @cached_property
    def workers(self) -> Workers | None:
        """The processes that train clients and score batches; None: this one does."""
        from fednlp.engines.workers import Workers

        if self.config.engine.name == "fedml":
            return None
        count = worker_count(self)
        return Workers(self, count, client_threads(self.config.engine)) if count > 1 else None

    @cached_property
    def together(self) -> Together:
        """How many clients of a cohort are trained at once."""
        return choose(self.config, self.trainer())

    def trainer(self) -> LocalTrainer:
        return LocalTrainer(
            self.model,
            self.task,
            self.stores["train"],
            self.config.client,
            self.config.seed,
            self.config.precision,
            self.steps,
            self.config.engine.compile,
        )

    @property
    def steps(self) -> TakenSteps:
        """How local training takes its steps on this device."""
        if self.device.type == "cpu":
            return "plain"
        return "graphs" if self.config.engine.graphs else "static"


@lru_cache(maxsize=8)
def _corpus(description: str) -> Corpus:
    """Loads a corpus; `description` is the JSON of a `DatasetConfig`."""
    wanted = json.loads(description)
    card = dataset_card(wanted["name"])
    corpus = load_corpus(
        card,
        source=wanted["source"],
        data_root=places.data_root(),
        cache_dir=places.cache_dir(),
        sizes=wanted["sizes"],
        limit=wanted["limit"],
        skip_bad=wanted["skip_bad"],
        find_card=dataset_card,
    )
    if len(corpus.labels) == 1:
        found = f"every label is {corpus.labels[0]!r}"
        fix = f"check the files and the label column in {wanted['name']}"
        raise UserError(f"dataset {corpus.name}", found, "at least two labels", fix)
    return corpus


@lru_cache(maxsize=32)
def _partition(description: str, dataset: str) -> Partition:
    """Makes or loads a partition; the arguments are JSON of the two sections."""
    corpus = _corpus(dataset)
    task = TASKS[corpus.task](corpus.labels, TokenSettings())
    return build_partition(PartitionConfig.model_validate_json(description), corpus, task)


def token_settings(config: RunConfig) -> TokenSettings:
    """The lengths that a task is made with."""
    tokens = config.tokens
    return TokenSettings(tokens.max_length, tokens.doc_stride, tokens.max_target_length)


def _longest(task: Task) -> int:
    """The longest sequence in tokens that a model sees."""
    tokens = task.settings
    return max(tokens.max_length, tokens.max_target_length if task.generates else 0)


def check_components(config: RunConfig, where: str) -> None:
    """Finds every named component and checks all that the cards can tell, before data are read.

    Raises:
        UserError: names `where` and the key.
    """
    try:
        build_algorithm(config)
        data, model = dataset_card(config.dataset.name), model_card(config.model.name)
        check_request(data, config.dataset.source, places.data_root(), config.dataset.sizes)
        check_partition(config.partition, data)
        task = TASKS[data.task]([], token_settings(config))
        _check_order(config, task)
        if task.name not in model.tasks:
            raise UserError(
                "model.name",
                f"{config.model.name} does not serve {task.name}",
                f"a card for it; this one is for {', '.join(model.tasks)}",
            )
        model.check_scratch(config.model.layers, _longest(task))
    except ValueError as error:
        raise relocated(error, f"{where}: ") from None


def _check_order(config: RunConfig, task: Task) -> None:
    sections = {"client": config.client, "centralized.client": central_client(config)}
    for where, client in sections.items():
        if client.order == "by_class" and task.name != "text_classification":
            found = f"'by_class', and an example of {task.name} has no single class"
            raise UserError(f"{where}.order", found, "shuffled")


def prepare_process(config: RunConfig) -> None:
    """Process-wide settings of a run: threads, determinism, quiet libraries."""
    threads = all_threads(config.engine)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # workers are no forks of this process
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # of the tokenizers
    torch.set_num_threads(threads)
    repeatable_kernels()
