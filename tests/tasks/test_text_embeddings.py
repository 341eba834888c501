import os
from pathlib import Path

import numpy as np
import pytest

from fednlp.cards import model_card
from tasks.errors import DataError
from tasks.text_embeddings import text_embeddings

MODELS = Path(__file__).parents[2] / "configs" / "models"


@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
def test_similar_texts_are_near_whatever_stands_beside_them(tmp_path):
    card = model_card("minilm-l6-h384")
    texts = [
        "The goalkeeper saved the penalty.",
        "",
        "A striker scored two goals.",
        "Boil the soup.",
    ]
    rows = text_embeddings(card, texts, tmp_path)
    assert rows.shape == (4, 384) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[2] > rows[0] @ rows[3] + 0.1
    alone = text_embeddings(card, texts[:1], tmp_path)
    assert np.allclose(alone[0], rows[0], atol=1e-5)


def test_a_model_from_scratch_is_refused(tmp_path):
    card = model_card("tiny")
    with pytest.raises(DataError, match="pretrained encoder"):
        text_embeddings(card, ["a"], tmp_path)
