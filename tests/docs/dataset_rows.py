"""The tables of docs/datasets.md; run as a program, this prints the one of the cards."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fednlp.cards import dataset_card
from fednlp.places import card_names
from tasks.dataset_card import DatasetCard

HEADER = ("card", "task", "train / validation / test", "licence", "clients", "skew", "sources")


def sizes(card: DatasetCard) -> str:
    """Published examples of each split; `cut` from train, `-` where no count is published."""
    sizes = card.synthetic.sizes if card.synthetic else card.expected
    cells = []
    for split in ("train", "validation", "test"):
        known = f"{sizes[split]:,}" if split in sizes else "-"
        cells.append(known if split in card.source_splits else "cut")
    return " / ".join(cells)


def dataset_rows() -> list[list[str]]:
    """A row per real data set, by task and name."""
    rows = []
    for card in map(dataset_card, card_names("datasets")):
        if card.synthetic is None:
            clients = card.client or ("client" if card.has_clients else "-")
            rows.append([f"`{card.name}`", card.task, sizes(card), card.licence, clients,
                         card.skew, ", ".join(card.sources)])  # fmt: skip
    return sorted(rows, key=lambda row: (row[1], row[0]))


if __name__ == "__main__":
    for row in [list(HEADER), ["---"] * len(HEADER), *dataset_rows()]:
        print("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |")
