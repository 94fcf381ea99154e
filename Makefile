# Everything a checkout needs: `make setup`, `make test`, `make test-all`, `make docs`, `make quickstart`.

VENV ?= .venv
# Tried by running, as a shim of a version manager may be found and yet not work.
PYTHON ?= $(shell for python in python3.11 python3; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
    { echo $$python; break; }; done)
BIN = $(VENV)/bin
STAMP = $(VENV)/.keras-efgsm-setup

# `make lock` takes the newest of everything except these, whose versions decide results.
PINS = tensorflow==2.21.0 keras==3.15.1 tensorflow-datasets==4.9.10 cleverhans==4.0.0 \
       keras-tuner==1.4.8 adversarial-robustness-toolbox==1.20.1 \
       jax==0.10.2

.PHONY: setup lint format-check types graph docs test test-all exhaustive fuzz quickstart tune-demo pictures tables lock wheel dist clean

setup: $(STAMP)

# An existing environment is topped up, never rebuilt. The lock holds the build backend, so the
# package itself installs without a download.
$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; set PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Each a hook of `.pre-commit-config.yaml` as well.
lint: setup
	$(BIN)/python -m ruff check .

format-check: setup
	$(BIN)/python -m ruff format --check .

types: setup
	$(BIN)/python -m mypy

# The packages by floor, and imports that run upward.
graph: setup
	$(BIN)/python scripts/import_graph.py --arrows

# The documentation as a site in site/. It fails on any warning, on a page that nothing leads to and on
# a link or an anchor that is not there; EXTERNAL=1 asks for the links to elsewhere as well.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(if $(EXTERNAL),CHECK_EXTERNAL_LINKS=true) $(BIN)/python -m mkdocs build --strict --quiet

# A worker for each core. A worker that has run out of tests takes over half of another's: modules
# stay together, as what they share is trained once, until the very end.
WORKERS ?= auto
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test: lint format-check types
	$(PYTEST) -m "not slow and not exhaustive"

# Also what must be long: trainings that are killed, reproduction, full budgets, rehearsals.
test-all: lint format-check types
	$(PYTEST) -m "not exhaustive"

# What takes longer than continuous integration has time for.
exhaustive: setup
	$(PYTEST) -m exhaustive

# Ten times as many damaged files and wrong options as `make exhaustive` has, and other ones each time;
# SEED=7 draws those of a seed.
fuzz: setup
	$(PYTEST) tests/fuzz --hypothesis-profile search $(if $(SEED),--hypothesis-seed $(SEED))

quickstart: setup
	$(BIN)/keras-efgsm quickstart

# Interrupted and called again, it goes on; remove searches/demo to begin anew.
tune-demo: setup
	$(BIN)/keras-efgsm tune digits --tuner random --trials 6 --epochs 12 \
	  --finalists 2 --seeds 2 --quiet --out searches/demo

# Every committed picture again, from the figures beside it; nothing is trained.
pictures: setup
	$(BIN)/python scripts/reporting/redraw.py

# Resolves the extras afresh in an environment of its own and writes down what came out.
lock:
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(PYTHON) -m venv "$$fresh" && \
	"$$fresh/bin/python" -m pip install --quiet ".[test]" $(PINS) && \
	"$$fresh/bin/python" -m pip freeze --all --exclude pip --exclude keras-efgsm > "$$fresh/lock" && \
	! grep -vE '^[A-Za-z0-9._-]+==[^ ]+$$' "$$fresh/lock" && \
	cp "$$fresh/lock" requirements.lock && wc -l requirements.lock

# The tables of README.md and docs/ again, from the figures in results/; nothing is trained.
tables: setup
	$(BIN)/python scripts/reporting/tables.py
	$(BIN)/python scripts/reporting/robust_models_page.py

wheel: setup
	$(BIN)/python -m build --wheel --no-isolation

# What is released, in dist/: sources and wheel, looked at as the package index does, and the citation
# file by its schema. These tools are nobody's dependency, so they have an environment of their own.
dist:
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(PYTHON) -m venv "$$fresh" && \
	"$$fresh/bin/python" -m pip install --quiet build twine cffconvert && \
	rm -rf dist && \
	"$$fresh/bin/python" -m build && \
	"$$fresh/bin/python" -m twine check --strict dist/* && \
	"$$fresh/bin/cffconvert" --validate

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	find keras_efgsm tests -name __pycache__ -type d -prune -exec rm -rf {} +
