"""Tiny models and hand-made token stores of all four tasks, on any device, without data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from algorithms import ALGORITHMS, ClientOptimizer
from algorithms.algorithm import Client, Trained
from fednlp.config_schema import ClientConfig
from fednlp.cuda_attention import always_mask
from fednlp.flat_model import FlatModel
from fednlp.local_training import LocalTrainer, Participation
from tasks import TASKS
from tasks.first_token import read_first_token_only
from tasks.freezing import freeze, freeze_unreached
from tasks.lora import add_lora
from tasks.model_card import LoraSettings
from tasks.task import TokenSettings
from tasks.token_store import TokenStore

VOCABULARY, LONGEST = 61, 24
CLASSES = {"text_classification": ["a", "b", "c"], "sequence_tagging": ["O", "B-X", "I-X"]}


def store_of(task: str, examples: int = 60, seed: int = 0) -> TokenStore:
    """Random tokens; tagging and question answering have examples of one to three rows."""
    rng = np.random.default_rng(seed)
    windows = task in ("sequence_tagging", "question_answering")
    counts = rng.integers(1, 4 if windows else 2, examples)
    rows = int(counts.sum())
    lengths = rng.integers(4, LONGEST + 1, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = rng.integers(3, VOCABULARY, offsets[-1])
    columns: dict[str, np.ndarray] = {}
    if task == "text_classification":
        columns["label"] = rng.integers(0, 3, rows)
    elif task == "sequence_tagging":
        columns["tags"] = rng.choice([-100, 0, 1, 2], len(tokens))
    elif task == "question_answering":
        columns["second"] = np.full(rows, 2)
        columns["span"] = np.stack([np.full(rows, 2), lengths - 1], axis=1)
    else:
        wanted = rng.integers(2, 9, rows)
        columns["targets_offsets"] = np.concatenate([[0], np.cumsum(wanted)])
        columns["targets"] = rng.integers(3, VOCABULARY, wanted.sum()).astype(np.int32)
    return TokenStore(
        tokens=torch.from_numpy(tokens.astype(np.int32)),
        row_offsets=torch.from_numpy(offsets),
        example_rows=torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])),
        row_weight=torch.from_numpy(np.repeat(1.0 / counts, counts).astype(np.float32)),
        columns={name: torch.from_numpy(column) for name, column in columns.items()},
        max_length=LONGEST,
        max_target_length=8,
        segments=True,
    )


def module_of(task: str, dropout: float) -> Any:
    """BERT of two narrow layers with the task's head; BART for seq2seq."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if task == "seq2seq":
            config: Any = transformers.BartConfig(
                vocab_size=VOCABULARY, d_model=16, encoder_layers=2, decoder_layers=2,
                encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
                decoder_ffn_dim=32, max_position_embeddings=LONGEST, dropout=dropout,
                attention_dropout=dropout, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                decoder_start_token_id=2, forced_eos_token_id=None,
            )  # fmt: skip
            return transformers.BartForConditionalGeneration(config)
        config = transformers.BertConfig(
            vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=LONGEST, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout, pad_token_id=0, num_labels=3,
        )  # fmt: skip
        head = {
            "text_classification": transformers.BertForSequenceClassification,
            "sequence_tagging": transformers.BertForTokenClassification,
            "question_answering": transformers.BertForQuestionAnswering,
        }[task]
        if task == "question_answering":
            config.num_labels = 2
        module = head(config)
        if task == "text_classification":
            read_first_token_only(module)
        return module


def trainer_of(
    task: str = "text_classification",
    *,
    device: str = "cpu",
    steps: Any = "plain",
    dropout: float = 0.0,
    frozen: int = 0,
    lora: bool = False,
    precision: str = "fp32",
    module: Any = None,
    store: TokenStore | None = None,
    **client: Any,
) -> tuple[LocalTrainer, Tensor]:
    """A trainer on 60 examples, and the weights [P] that it starts from.

    module, store: instead of `module_of` and `store_of` the task.
    """
    module = module_of(task, dropout) if module is None else module
    store = store_of(task) if store is None else store
    if frozen:
        freeze(module, embeddings=True, layers=frozen)
    if lora:
        with torch.random.fork_rng():
            torch.manual_seed(4)
            add_lora(module, LoraSettings(r=2))
    module.eval()
    if not lora:
        freeze_unreached(module, _probe)
    if device == "cuda":
        always_mask(module)
    model = FlatModel(module, device)
    made = TASKS[task](CLASSES.get(task, []), TokenSettings(LONGEST, 4, 8))
    settings = ClientConfig(**{"batch_size": 8, "epochs": 2, **client})
    trainer = LocalTrainer(model, made, store.to(device), settings, 0, precision, steps=steps)
    return trainer, model.weights.clone()


def _probe(module: Any) -> Tensor:
    ids = torch.arange(3, 9).unsqueeze(0)
    if module.config.is_encoder_decoder:
        return module(input_ids=ids, decoder_input_ids=ids).logits.sum()
    output = module(input_ids=ids)
    return output.logits.sum() if "logits" in output else (output[0] + output[1]).sum()


CLIENTS = [np.arange(0, 21), np.arange(21, 24), np.arange(24, 60)]  # ragged, tiny, large


def trained(trainer: LocalTrainer, start: Tensor, **changes: Any) -> list[Participation]:
    """Three clients of different sizes, one after another."""
    ended = []
    for client, examples in enumerate(CLIENTS):
        participation = trainer.participate(examples, start, round=0, client=client, **changes)
        participation.advance()
        ended.append(participation)
        start = trainer.model.weights.clone()
    return ended


def by_algorithm(trainer: LocalTrainer, start: Tensor, name: str) -> list[dict[str, Tensor]]:
    """What three clients of a published method upload, and keep (with `kept` before its name)."""
    method = ALGORITHMS[name]()
    settings, uploads = trainer.settings, []
    optimizer = ClientOptimizer(settings.optimizer, settings.lr)
    server = method.init_server(start, trainer.model.layout)
    if "control" in server:
        server["control"] = 1e-3 * torch.ones_like(start)
    received = method.download(start, server)
    for index, examples in enumerate(CLIENTS):
        passes: list[int] = []

        def train(begin: Tensor, correct: Any, examples=examples, index=index, passes=passes):
            participation = trainer.participate(
                examples, begin, round=0, client=index, correct=correct, stream=f" {len(passes)}"
            )
            passes.append(1)
            participation.advance()
            rates = tuple(participation.rates)
            return Trained(trainer.model.weights.clone(), len(rates), sum(rates), rates)

        state = method.init_client(start)
        client = Client(
            index, len(examples), 0, received, state, trainer.model.layout, optimizer,
            torch.Generator(), train,
        )  # fmt: skip
        payload = method.local_update(client)
        uploads.append({**payload, **{f"kept {k}": v for k, v in client.state.items()}})
    return uploads
