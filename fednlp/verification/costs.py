"""What a run says it consumed, against its rounds, its split and the length of its vector."""

from __future__ import annotations

from typing import Any

from fednlp.config_schema import SamplingConfig
from fednlp.results.schema import absent, left_out
from fednlp.sampling import Sampler, make_sampler
from fednlp.verification.check import Wrong, require_equal
from fednlp.verification.evidence import Evidence

_SUMS = ("device_seconds",)
_AT_LEAST = ("evaluation_seconds", "wall_seconds")  # the end of a run adds to them
FLOAT_BYTES = 4


def costs(evidence: Evidence) -> str:
    """Totals are those of the rounds, and bytes are cohort x payload."""
    result, rounds, total = evidence.result, evidence.rounds, evidence.result.costs
    for key in _SUMS:
        require_equal(f"costs.{key}", getattr(total, key), float(sum(r[key] for r in rounds)))
    for key in _AT_LEAST:
        rest = getattr(total, key) - sum(r[key] for r in rounds)
        if rest < -1e-6 * getattr(total, key):
            raise Wrong(f"costs.{key} is less than its rounds add up to")
    for record in rounds:
        _require_sound(record)
    padded = total.padded_tokens / total.real_tokens
    if total.padding_waste is not None:
        require_equal("costs.padding_waste", total.padding_waste, padded)
    moved = sum((r["correction_ratio"] or 0.0) * r["steps"] for r in rounds)
    ratio = moved / total.steps if moved else None
    require_equal("correction_ratio", result.correction_ratio, ratio)
    skipped = sum(len(r.get("skipped", [])) for r in rounds)
    require_equal("skipped_uploads", result.skipped_uploads, skipped)
    participants = {client for r in rounds for client in r.get("clients", [])}
    base = FLOAT_BYTES * result.model.frozen * len(participants)
    require_equal("costs.bytes_base", total.bytes_base, base)
    if not evidence.federated:
        require_equal("bytes of a centralized run", total.bytes_up + total.bytes_down, 0)
        return _budget(evidence)
    down, up = (_payload(evidence, key) for key in ("bytes_down", "bytes_up"))
    return f"a client is sent {down:,} bytes a round and sends {up:,}"


def _require_sound(record: dict[str, Any]) -> None:
    for key in ("examples", "steps", "real_tokens", "padded_tokens"):
        if not (type(record[key]) is int and record[key] > 0):
            raise Wrong(f"round {record['round']}: {key} is {record[key]!r:.40}")
    if not record["steps"] <= record["examples"]:
        raise Wrong(f"round {record['round']}: more steps than examples")
    if not record["real_tokens"] <= record["padded_tokens"]:
        raise Wrong(f"round {record['round']}: fewer tokens with padding than without")


def _payload(evidence: Evidence, key: str) -> int:
    """Bytes of one client in one round, of which a published method has one number per run.

    It sends and is sent the whole vector at least, in float32.
    """
    sizes = {}
    for record in evidence.rounds:
        size, rest = divmod(record[key], len(record["clients"]))
        if rest and not evidence.third_party:
            raise Wrong(f"round {record['round']}: {key} is no multiple of its cohort")
        sizes[size] = record["round"]
    if evidence.third_party:
        return max(sizes)
    if len(sizes) > 1:
        raise Wrong(f"round {max(sizes.values())}: {key} of a client is not that of other rounds")
    (size,) = sizes
    vector = FLOAT_BYTES * evidence.result.model.trainable
    if size < vector:
        raise Wrong(f"{key} of a client is {size:,}, but its weights alone take {vector:,}")
    return size


def _budget(evidence: Evidence) -> str:
    """A centralized run stops at the first batch that reaches each of its points."""
    per_point, client, done = evidence.content["examples_per_point"], evidence.result.client, 0
    for record in evidence.rounds:
        done += record["examples"]
        over = done - round(per_point * record["round"])
        most = client["batch_size"] if client["batch_tokens"] is None else record["examples"]
        if not 0 <= over < most:
            raise Wrong(f"round {record['round']}: {done} examples, planned {done - over}")
    return f"{done:,} examples, as planned"


def cohorts(evidence: Evidence) -> str:
    """Every cohort is the one that the seed draws, and works through its clients' examples."""
    sampler, epochs = sampler_of(evidence), evidence.content["client"]["epochs"]
    sizes = evidence.partition.splits["train"].sizes()
    passes = set()
    for record in evidence.rounds:
        drawn = sampler.clients[sampler.cohort(record["round"] - 1)].tolist()
        if record["clients"] != drawn:
            raise Wrong(
                f"round {record['round']}: clients {_some(record['clients'])}, but the seed draws "
                f"{_some(drawn)}"
            )
        if not left_out(record) < set(drawn):
            raise Wrong(f"round {record['round']}: clients were left out that are not in it")
        trained = [client for client in drawn if client not in absent(record)]
        once = epochs * int(sizes[trained].sum())
        if record["examples"] % once:
            raise Wrong(
                f"round {record['round']}: {record['examples']} examples, but its clients have "
                f"{once} in {epochs} epochs"
            )
        passes.add(record["examples"] // once)
    if len(passes) > 1:
        raise Wrong(f"clients pass over their data {min(passes)} to {max(passes)} times a round")
    return f"{sampler.per_round} of {len(sampler.clients)} clients a round"


def sampler_of(evidence: Evidence) -> Sampler:
    """The sampler of the run's identity over the sizes of its stored split."""
    sampling = SamplingConfig.model_validate(evidence.content["sampling"])
    partition = evidence.partition
    sizes = partition.splits["train"].sizes()
    return make_sampler(sampling, sizes, partition.held_out, evidence.result.seed)


def _some(clients: list[int]) -> str:
    return ", ".join(map(str, clients[:5])) + (", ..." if len(clients) > 5 else "")
