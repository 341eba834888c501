# `make bench` (the main job on the embedded data) and `make test`. `make fuzz` tries to break every
# reader, card, configuration, run folder, model folder and partition file. `make flower` makes the
# environment of a peer, for its tests and its benchmark; `make peers` those of all peers (5 GB).
# `make fedml` adds to .venv what `engine.name: fedml` needs (60 MB); nothing in it changes version.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test fuzz lint fedml flower peers clean
.DELETE_ON_ERROR:

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

bench: .venv/installed
	$(BIN)/python run_bench.py suite configs/suites/bench.yaml --beat-floor --out runs/bench

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/pytest -n 2 -m "not long"

FEDNLP_FUZZ ?= 4
fuzz: .venv/installed
	FEDNLP_FUZZ=$(FEDNLP_FUZZ) OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/pytest -n 2 \
		tests/tasks/readers tests/tasks/test_hostile_model_folders.py \
		tests/fednlp/test_hostile_yaml.py tests/fednlp/test_damaged_folders.py \
		tests/partitioners/formats

fedml: .venv/fedml-installed

# FedML's wheel brings packages named `tests` and `examples`, which would take the place of ours. The
# last lines are the check: the core is what it was, FedML imports, MPI starts.
.venv/fedml-installed: .venv/installed requirements/fedml.txt
	$(BIN)/python -m pip freeze --exclude-editable >.venv/before-fedml.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c .venv/before-fedml.txt -r requirements/fedml.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps fedml==0.9.6
	for folder in tests examples; do rm -rf .venv/lib/python3*/site-packages/$$folder; done
	$(BIN)/python -m pip freeze --exclude-editable | grep -vxFf - .venv/before-fedml.txt; test $$? = 1
	$(BIN)/mpirun -n 1 $(BIN)/python -m fednlp.engines.fedml.library
	touch $@

flower:
	PYTHON=$(PYTHON) sh benchmarks/peers/setup.sh flwr-datasets

peers: flower
	for peer in flwr pfl fedml; do PYTHON=$(PYTHON) sh benchmarks/peers/setup.sh $$peer || exit; done

clean:
	rm -rf .venv .venv-peers runs
