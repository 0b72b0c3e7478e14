# `make demo` and `make test` do all the set-up. VENV=path reuses an environment; VISION_SHARED points at the
# real weights and media (see CONTRIBUTING.md); PYTHON is what makes the environment; ARGS goes to bench and
# acceptance (make acceptance ARGS='--only 11.4').
PYTHON ?= python3
VENV ?= .venv
VISION_SHARED ?= $(abspath ../shared)
export VISION_SHARED
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WEIGHTS := build/weights

.PHONY: help setup demo test slow lint weights bench acceptance clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## the environment with everything in it

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

weights: $(STAMP)  ## the checkpoints of $VISION_SHARED/weights, into build/weights
	@$(BIN)/python tests/build_weights.py $(WEIGHTS)

demo: $(STAMP)  ## a tour on sample_media (real weights where they are to be had)
	@$(BIN)/python tests/demo.py

# Two processes with one torch thread each: faster than one with two, and steadier on a busy machine.
test: $(STAMP)  ## the quick tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m 'not slow'

slow: $(STAMP)  ## the slow tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m slow

lint: $(STAMP)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict visioncli

bench: $(STAMP)  ## speed beside the usual tools, as ratios, into docs/performance.md
	@$(BIN)/python tests/bench/bench.py --write $(ARGS)

acceptance: $(STAMP)  ## every "Done when" that can be automated, one line with its figure each
	@$(BIN)/python -m tests.acceptance $(ARGS)

clean:  ## build products, not the environment
	rm -rf build dist vision-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
