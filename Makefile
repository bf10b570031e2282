VENV_PYTHON := .venv/bin/python
# The longest tests wait for one process that imports. tests/conftest.py says which file is begun
# first; xdist itself begins with those that have most tests, which are not the longest.
PYTEST := $(VENV_PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
ARGS ?=
DOCKER ?= docker
VARIANT ?= cpu
LOCK := .venv/bin/uv pip compile --no-python-downloads --generate-hashes --no-header --quiet
# The stack of the image.
IMAGE_LOCK := $(LOCK) --python-version 3.13 --python-platform x86_64-manylinux_2_40 \
  --constraint requirements-tfx-1.21.lock
# All that need neither data nor a run's folder.
BENCHMARKS := $(filter-out %/bench_training.py %/bench_recipe.py,$(sort $(wildcard benchmarks/bench_*.py)))
.DEFAULT_GOAL := help
.PHONY: help setup run test test-next test-fast lint format bench serve-smoke image lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv from its lock (PYTHON=python3.12 chooses; EXTRAS=gpu, torch, onnx or demo adds those)
	@scripts/setup.sh

run: setup  ## set up, then the whole pipeline on the embedded digits (ARGS="--trainer.epochs 3" passes flags)
	@$(VENV_PYTHON) local_runner.py $(ARGS)

test: setup  ## set up, then every test on this machine's stack
	@$(PYTEST) -m "not next" $(ARGS)

test-next: setup  ## set-up, the fast tests and a run on Debian 13, in a clean root (needs root, debootstrap, 12 GB)
	@$(VENV_PYTHON) -m pytest -m next tests/deploy $(ARGS)

test-fast: setup  ## the tests that take two minutes: without Beam, pipeline runs and big networks
	@$(PYTEST) -m "not slow" $(ARGS)

lint: setup  ## style, types of public functions, import direction
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy
	@.venv/bin/lint-imports

format: setup  ## apply the style
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

bench: setup  ## measure the figures that the docs quote
	@set -e; for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(VENV_PYTHON) $$benchmark; done

serve-smoke: setup  ## start TF Serving in Docker with the pushed model, ask it, stop it (MODELS=DIR)
	@PYTHON=$(VENV_PYTHON) scripts/serve_smoke.sh

image:  ## build the container image, fishnet-tfx:VERSION-VARIANT (VARIANT=gpu; docs/image.md)
	@version=$$(sed -n 's/^ *version="\(.*\)",$$/\1/p' setup.py); \
	commit=$$(git describe --always --dirty --abbrev=40 --exclude '*'); \
	$(DOCKER) build --file deploy/Dockerfile --tag fishnet-tfx:$$version-$(VARIANT) \
	  --build-arg VARIANT=$(VARIANT) --build-arg VERSION=$$version --build-arg COMMIT=$$commit $(ARGS) .

lock: setup  ## rewrite the locks of both stacks, and the image's, from setup.py
	@$(LOCK) setup.py --extra dev --extra demo --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
	  --output-file requirements-tfx-1.16.lock
	@$(LOCK) setup.py --extra dev --extra demo --python-version 3.12 --universal \
	  --output-file requirements-tfx-1.21.lock
	@$(IMAGE_LOCK) setup.py --output-file deploy/requirements-cpu.lock
	@$(IMAGE_LOCK) setup.py --extra gpu --output-file deploy/requirements-gpu.lock
	@printf '%s\n' setuptools uv wheel | $(IMAGE_LOCK) - --output-file deploy/requirements-build.lock
