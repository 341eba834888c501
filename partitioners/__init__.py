"""Non-IID splits: labels, features or client keys in, a `Partition` out.

Each file holds one partitioner: a function of an array, the number of clients and a numpy
generator. It has the name of its file, and `partitioners.dirichlet` is the function.
`make_partition` adds the matched test shares, held-out clients and the measured skew.

    from partitioners import make_partition
    partition = make_partition("dirichlet", {"alpha": 0.1}, clients=100, seed=0,
                               train_labels=labels, test_labels=test_labels)
    partition.provenance["achieved"]["js_distance"]
"""

from .cluster import ClusterParameters, cluster, cluster_labels
from .comparison import Comparison, compare
from .dirichlet import DirichletParameters, dirichlet
from .dirichlet_per_class import DirichletPerClassParameters, dirichlet_per_class
from .errors import PartitionError
from .histogram import LabelHistogram
from .label_shards import LabelShardsParameters, label_shards
from .make import make_partition, remeasured
from .natural import NaturalParameters, natural
from .pairwise import PairwiseDistances, pairwise_distances
from .partition import Partition, Split
from .quantity import QuantityParameters, quantity
from .specs import PARTITIONERS, PartitionerSpec, find_partitioner
from .text_features import text_features
from .uniform import UniformParameters, uniform

__all__ = [
    "PARTITIONERS",
    "ClusterParameters",
    "Comparison",
    "DirichletParameters",
    "DirichletPerClassParameters",
    "LabelHistogram",
    "LabelShardsParameters",
    "NaturalParameters",
    "PairwiseDistances",
    "Partition",
    "PartitionError",
    "PartitionerSpec",
    "QuantityParameters",
    "Split",
    "UniformParameters",
    "cluster",
    "cluster_labels",
    "compare",
    "dirichlet",
    "dirichlet_per_class",
    "find_partitioner",
    "label_shards",
    "make_partition",
    "natural",
    "pairwise_distances",
    "quantity",
    "remeasured",
    "text_features",
    "uniform",
]
