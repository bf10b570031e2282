PYTHON := .venv/bin/python
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast lint format bench serve-smoke lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv from requirements.lock (EXTRAS=gpu or EXTRAS=torch adds those)
	@scripts/setup.sh

run: setup  ## set up, then the whole pipeline on the embedded digits (ARGS="--trainer.epochs 3" passes flags)
	@$(PYTHON) local_runner.py $(ARGS)

test: setup  ## set up, then every test
	@$(PYTHON) -m pytest $(ARGS)

test-fast: setup  ## the tests that need no pipeline run
	@$(PYTHON) -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

lint: setup  ## style, types of public functions, import direction
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports

format: setup  ## apply the style
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: setup  ## measure the figures that the docs quote
	@set -e; for benchmark in benchmarks/bench_*.py; do echo "== $$benchmark"; $(PYTHON) $$benchmark; done

serve-smoke: setup  ## start TF Serving in Docker with the pushed model, ask it, stop it (MODELS=DIR)
	@PYTHON=$(PYTHON) scripts/serve_smoke.sh

lock: setup  ## rewrite requirements.lock from setup.py
	@.venv/bin/uv pip compile setup.py --extra dev --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --no-header --quiet --output-file requirements.lock
