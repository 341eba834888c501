"""Masks that are made without a look at what they mask."""

import pytest
import torch
from step_cases import VOCABULARY, module_of

from fednlp.cuda_attention import NAME, always_mask


class Unseen(torch.Tensor):
    """A mask whose values nobody may ask for."""

    def __bool__(self):
        raise AssertionError("looked into a mask")


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("task", ["text_classification", "sequence_tagging", "seq2seq"])
def test_the_same_outputs(task, padded):
    ids = torch.randint(3, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 5:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if task == "seq2seq":
        inputs["decoder_input_ids"] = ids[:, :4]
    module = module_of(task, 0.0).eval()
    expected = module(**inputs).logits
    assert always_mask(module) >= 1
    assert module.config._attn_implementation == NAME
    found = module(**{**inputs, "attention_mask": mask.as_subclass(Unseen)}).logits
    assert torch.allclose(torch.as_tensor(found), expected, atol=1e-5)


def test_without_the_switch_the_mask_is_looked_into():
    ids = torch.full((1, 4), 5)
    with pytest.raises(AssertionError, match="looked into"):
        module_of("sequence_tagging", 0.0)(
            input_ids=ids, attention_mask=torch.ones_like(ids).as_subclass(Unseen)
        )
