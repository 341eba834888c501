"""Partitions in and out of files that other programs read; one file per format.

    from partitioners.formats import export_partition, import_partition
    export_partition(partition, Path("split.parquet"), "parquet")
    import_partition(Path("split.parquet")).checksum == partition.checksum

Every format but `csv` gives back all of a partition: shares, provenance, held-out clients, content
hashes and label histogram. Files of others hold shares only, and their provenance says so.
"""

from .exporting import export_partition
from .format import Format
from .formats import FORMATS, find_format
from .importing import import_partition

__all__ = ["FORMATS", "Format", "export_partition", "find_format", "import_partition"]
