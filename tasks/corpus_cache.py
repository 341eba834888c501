"""Parsed tables on disk, so that a corpus is read from its original files once.

An entry is a folder: `<split>.arrow` (an Arrow stream, memory-mapped when read) and `meta.json`
with the labels, what was left out, and each table's content hash. Its name is the hash of
everything that decides its content, code included, so it cannot go stale; the hashes are checked on
reading, so a damaged entry is made again; it is written under a temporary name and renamed, so two
runs may write at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.cache_warning import not_cached
from tasks.fingerprint import code_hash, table_fingerprint
from tasks.tables import Parsed

# What turns files or seeds into rows, or says which are bad: readers, schema, cards, generators.
_CODE = (
    "sources.py", "hub.py", "schema.py", "tables.py", "dataset_card.py", "card_errors.py",
    "metrics_squad.py", "errors.py", "folders.py", "readers/*.py", "synthetic/*.py",
)  # fmt: skip


def cached(
    identity: dict[str, Any], folder: Path, build: Callable[[], Parsed], skip_bad: int = 0
) -> Parsed:
    """What `build` gives, from the cache when it holds it.

    Args:
        identity: JSON values that decide the result; the source code of the readers is added.
        folder: where entries lie; made when missing.
        skip_bad: an entry for which more bad records were left out does not count.
    """
    text = json.dumps({**identity, "code": code_hash(*_CODE)}, sort_keys=True)
    entry = folder / hashlib.sha256(text.encode()).hexdigest()[:40]
    known = _load(entry)
    if known is not None and len(known.skipped) <= skip_bad:
        return known
    parsed = build()
    _save(entry, parsed)
    return _load(entry) or parsed


def _load(entry: Path) -> Parsed | None:
    import pyarrow as pa

    tables = {}
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        for split, expected in meta["tables"].items():
            with pa.memory_map(str(entry / f"{split}.arrow")) as source:
                tables[split] = pa.ipc.open_stream(source).read_all()
            if table_fingerprint(tables[split]) != expected:
                return None
        kept = (meta[key] for key in ("labels", "skipped", "sizes", "left_out"))
        return Parsed(tables, *kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        return None


def _save(entry: Path, parsed: Parsed) -> None:
    import pyarrow as pa

    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".parsed-", dir=entry.parent))
        for split, table in parsed.tables.items():
            with pa.ipc.new_stream(str(temporary / f"{split}.arrow"), table.schema) as writer:
                writer.write_table(table)
        hashes = {split: table_fingerprint(table) for split, table in parsed.tables.items()}
        meta = {
            "tables": hashes,
            "labels": parsed.labels,
            "skipped": parsed.skipped,
            "sizes": parsed.sizes,
            "left_out": parsed.left_out,
        }
        (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        if entry.exists() and _load(entry) is None:
            shutil.rmtree(entry, ignore_errors=True)
        os.rename(temporary, entry)
    except (OSError, pa.ArrowException) as error:
        if _load(entry) is None:  # else another process was faster, with equal content
            not_cached(entry.parent, error)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
