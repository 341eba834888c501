"""Pictures of partitions, each as PNG and SVG; matplotlib is imported when one is drawn.

from partitioners.plots import plot_labels
plot_labels(Partition.load("split.npz"), Path("pictures/labels"))  # .png and .svg
"""

from .distances import plot_distances
from .labels import plot_labels
from .overlap import plot_overlap
from .sizes import plot_sizes
from .sweep import plot_sweep

__all__ = ["plot_distances", "plot_labels", "plot_overlap", "plot_sizes", "plot_sweep"]
