# make demo    the whole pipeline on the embedded desk
# make test    the test suite
# make test-slow  hundreds of kills, damages and hostile inputs: an hour
# make paper   the comparison of the paper with five seeds: hours; goes on where it stopped
# make test-gguf  what export --gguf writes, run by llama.cpp
# make check   ruff, mypy --strict, the order of imports
# make vllm    the tests against a real vLLM, in an environment of its own: 2.5 GB
# make tau2    a model on tau2-bench, from a checkout of it: TAU2=../tau2-bench MODEL=base
# make docs    the documentation as pages, in build/docs
# make dist    wheel and sdist, in build/dist
#
# All of them make a virtual environment in .venv and install into it, once; with GPU=1 the build of
# torch for GPUs, without it a CPU build where one is offered. PYTHON names the Python to use.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info < (3, 11) or print("$(name)")' 2>/dev/null)) python3)
BIN := .venv/bin
INSTALL = $(PYTHON) tools/environment.py $(if $(GPU),--gpu)
# Another build of torch is another installation.
BASE := .venv/.installed$(if $(GPU),-gpu)

.PHONY: demo paper test test-slow test-gguf check docs dist tau2 vllm

demo: $(BASE)
	$(BIN)/actwise demo

paper: $(BASE)
	$(BIN)/actwise experiment paper --seeds 5 --jobs 2 --page docs/experiments/paper.md \
		--readme README.md

# Half of the files each: a file's tests share what it makes once.
test: $(BASE)-dev
	$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal

test-slow: $(BASE)-dev
	$(BIN)/pytest -m exhaustive

# llama.cpp is the package xllamacpp, in an environment of its own.
test-gguf: $(BASE)-dev .venv-llama-cpp/.installed
	$(BIN)/pytest tests/export/test_gguf.py

.venv-llama-cpp/.installed:
	$(PYTHON) -m venv .venv-llama-cpp
	.venv-llama-cpp/bin/pip install --quiet --disable-pip-version-check 'xllamacpp>=2026.10'
	touch $@

check: $(BASE)-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_imports.py

# tau2-bench wants Python 3.12 and packages of its own, so it has an environment of its own. TAU2 is a
# checkout of https://github.com/sierra-research/tau2-bench, whose data is read from there.
TAU2 ?= ../tau2-bench
MODEL ?= base

tau2: $(BASE) .venv-tau2/.installed
	TAU2_DATA_DIR=$(TAU2)/data $(BIN)/python -m benchmarks.tau2 --model $(MODEL) \
		--python .venv-tau2/bin/python

.venv-tau2/.installed:
	python3.12 -m venv .venv-tau2
	.venv-tau2/bin/pip install --quiet --disable-pip-version-check $(TAU2)
	touch $@

vllm: $(BASE)-dev .venv-vllm/.installed
	$(BIN)/pytest tests/integration/test_vllm.py

.venv-vllm/.installed: tools/vllm_environment.py
	$(PYTHON) tools/vllm_environment.py
	touch $@

docs: $(BASE)-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/docs
	@echo "pages: build/docs/index.html"

dist: $(BASE)-dev
	@$(BIN)/python -m build --no-isolation --outdir build/dist

$(BASE): pyproject.toml constraints.txt
	@$(INSTALL)
	@touch $@

$(BASE)-dev: $(BASE)
	@$(INSTALL) --dev
	@touch $@

$(BASE)-docs: $(BASE)
	@$(INSTALL) --docs
	@touch $@
