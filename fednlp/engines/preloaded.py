"""What worker processes share: the server that they are forked from imports this."""

import gc

import torch._dynamo  # noqa: F401  what the first optimizer imports
import transformers.modeling_utils  # noqa: F401  what the first model imports

import fednlp.engines.worker  # noqa: F401

gc.freeze()  # no collection looks through it, so that its memory stays shared
