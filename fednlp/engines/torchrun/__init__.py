"""The engine on `torch.distributed`: one run, many processes that torchrun (or srun) started.

Rank 0 runs the whole command as one process would; the others follow it. What is told goes through
torch's store as JSON, tensors go through the process group: one all-reduce per round.
"""
