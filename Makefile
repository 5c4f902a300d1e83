# Everything that people do here. `make` alone prints the list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
TRITON := .triton
BIN := $(VENV)/bin
CHART := .chart
CHECKOV := .checkov
PACKAGES := onnxgraph specification svckit slicer_svc packer_svc serving marketctl benchmarks

.PHONY: help setup demo up test check proto fmt lint type imports contracts sizes docs chart-check chart-tools chart-docs chart-images clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.complete $(TRITON)/.complete ## Make .venv and .triton, and check the system's libraries

$(VENV)/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed: install it (Debian 12: apt-get install python3 python3-venv) or set PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# An environment of its own: Triton's Python stub needs numpy 1.
$(TRITON)/.complete: triton-requirements.txt $(VENV)/.complete
	$(PYTHON) -m venv $(TRITON)
	$(TRITON)/bin/python -m pip install --quiet --upgrade "pip>=24"
	$(TRITON)/bin/python -m pip install --quiet --requirement triton-requirements.txt
	$(BIN)/python -m serving.embedded $(TRITON)
	@touch $@

demo: setup ## Train three models, slice, pack, serve and predict: the whole walk
	$(BIN)/python -m benchmarks.demo

up: setup ## Run slicer, packer, reconciler and Triton on this machine until Ctrl-C
	$(BIN)/marketctl up

test: setup ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: setup lint imports sizes contracts docs type chart-check ## Run every static check

proto: setup ## Generate the contracts' code and the pages made from them
	$(BIN)/python protos/generate.py
	$(BIN)/python -m svckit.error_docs

fmt: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

imports: setup
	$(BIN)/lint-imports

sizes: setup
	$(BIN)/python .ci/sizes.py

contracts: setup
	$(BIN)/python protos/generate.py --check
	.ci/buf.sh $(VENV)

docs: setup
	$(BIN)/python -m svckit.error_docs --check

type: setup
	$(BIN)/mypy $(PACKAGES) tests protos/generate.py .ci/sizes.py deploy/helm/check

# Tools of the chart alone, apart from the project: their dependencies are not ours.
$(CHART)/.complete: deploy/helm/check/tools.sh deploy/helm/check/requirements.txt
	deploy/helm/check/tools.sh $(PYTHON) $(CHART)
	@touch $@

$(CHECKOV)/.complete: deploy/helm/check/checkov-requirements.txt
	rm -rf $(CHECKOV)
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

chart-tools: $(CHART)/.complete $(CHECKOV)/.complete

chart-check: setup chart-tools ## Check the Helm chart: schemas, policy, what they miss, rules
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/deploy/chart -m chart -rs --numprocesses 2 --dist loadfile

chart-docs: setup ## Generate the chart's README from its values
	$(BIN)/python deploy/helm/check/readme.py

chart-images: $(CHART)/.complete ## Print every image that the chart's profiles want, for a mirror
	@for values in default laptop gpu; do PATH="$(CURDIR)/$(CHART)/bin:$$PATH" deploy/helm/images.sh \
	  $$([ $$values = default ] || echo --values deploy/helm/slice-and-pack/values-$$values.yaml); done | sort -u

include deploy/docker/images.mk

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(TRITON) $(CHART) $(CHECKOV) build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis
