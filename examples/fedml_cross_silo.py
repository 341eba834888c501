"""A configuration in FedML's own cross-silo: mpirun -n 5 python examples/fedml_cross_silo.py FILE

One process for the server and one for each of the configuration's clients, all of which take part
in every round. Prints the digest of the last weights, the one that a run folder of ours tells.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fednlp import config as configuration
from fednlp.engines.fedml import as_fedml
from fednlp.flat_model import digest

parts = as_fedml(configuration.load(Path(sys.argv[1]), sys.argv[2:]))
parts.run()
if parts.aggregator is not None:
    print(digest(parts.aggregator.weights))
