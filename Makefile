# make demo    the whole pipeline on the embedded desk
# make test    the test suite
# make test-slow  hundreds of kills, damages and hostile inputs: an hour
# make paper   the comparison of the paper with five seeds: hours; goes on where it stopped
# make check   ruff, mypy --strict, the order of imports
# make tau2    a model on tau2-bench, from a checkout of it: TAU2=../tau2-bench MODEL=base
#
# All of them make a virtual environment in .venv and install into it, once.

PYTHON ?= python3
BIN := .venv/bin
# Of builds of one version pip takes the one with a local label: a CPU build, where one is offered.
INSTALL := $(BIN)/pip install --disable-pip-version-check -c constraints.txt torch==2.13.0

.PHONY: demo paper test test-slow check tau2

demo: .venv/.installed
	$(BIN)/actwise demo

paper: .venv/.installed
	$(BIN)/actwise experiment paper --seeds 5 --jobs 2 --page docs/experiments/paper.md \
		--readme README.md

test: .venv/.installed-dev
	$(BIN)/pytest

test-slow: .venv/.installed-dev
	$(BIN)/pytest -m exhaustive

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_imports.py

# tau2-bench wants Python 3.12 and packages of its own, so it has an environment of its own. TAU2 is a
# checkout of https://github.com/sierra-research/tau2-bench, whose data is read from there.
TAU2 ?= ../tau2-bench
MODEL ?= base

tau2: .venv/.installed .venv-tau2/.installed
	TAU2_DATA_DIR=$(TAU2)/data $(BIN)/python -m benchmarks.tau2 --model $(MODEL) \
		--python .venv-tau2/bin/python

.venv-tau2/.installed:
	python3.12 -m venv .venv-tau2
	.venv-tau2/bin/pip install --disable-pip-version-check $(TAU2)
	touch $@

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(INSTALL) -e '.[dev]'
	touch $@
