"""The bare loop: one resident model, a running sum, torch's fused optimizer, no framework.

python -m benchmarks.peers.plain_run JOB RESULTS, in our own environment.
"""

from __future__ import annotations

import torch

from benchmarks.peers.job import Result, arguments, clock, finish, train


def main() -> None:
    job, out = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, result = job.model(), Result()
    weights = list(model.parameters())
    assert job.cohorts is not None
    for round, cohort in enumerate(job.cohorts):
        result.began.append(clock())
        start = [w.detach().clone() for w in weights]
        sums = [torch.zeros_like(w) for w in start]
        total = sum(job.sizes[client] for client in cohort)
        for client in cohort:
            with torch.no_grad():
                torch._foreach_copy_(weights, start)
            result.work.add(train(model, job.batches(round, client), job))
            with torch.no_grad():
                torch._foreach_add_(sums, weights, alpha=job.sizes[client] / total)
        with torch.no_grad():
            torch._foreach_copy_(weights, sums)
    result.began.append(clock())
    finish(out, job, result, model.state_dict())


if __name__ == "__main__":
    main()
