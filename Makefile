# The workflow in its own environment. `make help` lists the targets.

PYTHON ?= python3
JOBS ?= 8
CONFIG ?= config/config.yaml
BIN := .venv/bin
# Progress bars on a terminal; plain lines in a file or a pipe.
BARS = $(and $(MAKE_TERMOUT),$(MAKE_TERMERR),--workflow-profile workflow/profiles/default)
SNAKEMAKE = $(BIN)/snakemake -j$(JOBS) $(BARS)

DEVICE ?= cuda
GPU_INPUT = results/backbones/SmolLM2-135M/x6-pretrained/backbone.json results/data/ETTh1/series.npz
TINY = results/backbones/tiny-gpt2/x2-pretrained/backbone.json results/backbones/tiny-llama/x2-pretrained/backbone.json \
  results/data/Synthetic/series.npz

# Without `tests`, which the suite covers, and `compiled`, which takes a minute on a CPU.
TINY_PARTS = machine training efficiency traffic steps sharing calibration kernels

.PHONY: help install test lint docs schemas all report resume partial reference check-reference benchmarks gpu-check crate croissant \
  FORCE
.DEFAULT_GOAL := help

help:  ## this list
	@echo "make <target> [CONFIG=config/cpu.yaml] [JOBS=8]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 24
	@echo "reports/...             any file of the workflow, for example reports/table_long_term.tex"

install: .venv/installed  ## make .venv with the project and its pinned dependencies

# pip compiles on one core, which takes minutes; compileall uses all cores. A file that does not compile is never
# imported.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[test,docs]'
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

test: install  ## run the tests
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder -rs

lint: install  ## formatter, linters, import contract, the workflow's own lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check -l 120 Snakefile workflow/rules
	# The environment is that of `make install`, so the lint rule that requires conda or a container does not apply.
	@! $(BIN)/snakemake --lint 2>&1 | grep '^    \* ' | grep -v 'Specify a conda environment or container for each rule'

schemas: install  ## config/schema, for editors, and docs/configuration.md, from the models of configurations
	$(BIN)/python docs/write_configuration.py

docs: schemas  ## the documentation site in build/docs, every link and anchor checked
	$(BIN)/python -m docs.write_results
	$(BIN)/sphinx-build -q -W --keep-going -E -b html docs build/docs

all: install  ## every report of the configuration; a run that fails fails alone
	$(SNAKEMAKE) all --keep-going --configfile $(CONFIG)

report: all  ## every report on one page, reports/report.html, to be opened in a browser
	$(BIN)/snakemake all --report reports/report.html --configfile $(CONFIG)

crate: all  ## the finished run as a Workflow Run RO-Crate, build/crate, checked by rocrate-validator
	rm -rf build/crate
	$(BIN)/timellama crate --configfile $(CONFIG)
	test -x build/crate-venv/bin/rocrate-validator || \
	  { $(PYTHON) -m venv build/crate-venv && build/crate-venv/bin/python -m pip install -q roc-validator==0.13.0; }
	build/crate-venv/bin/rocrate-validator -y validate --no-paging -p workflow-run-crate -l required build/crate

croissant: install  ## the data sets of the catalogue in Croissant, build/croissant, validated by mlcroissant
	rm -rf build/croissant
	$(BIN)/timellama croissant
	test -x build/croissant-venv/bin/mlcroissant || \
	  { $(PYTHON) -m venv build/croissant-venv && build/croissant-venv/bin/python -m pip install -q mlcroissant==1.1.1; }
	for file in build/croissant/*.json; do build/croissant-venv/bin/mlcroissant validate --jsonld $$file || exit 1; done

resume: install  ## after a crash: unlock the folder and resume unfinished work
	$(SNAKEMAKE) --unlock --configfile $(CONFIG)
	$(SNAKEMAKE) all --keep-going --rerun-incomplete --configfile $(CONFIG)

partial: install  ## the reports of what is there; computes no result
	TIMELLAMA_PARTIAL=1 $(SNAKEMAKE) all --configfile $(CONFIG)

reference: install  ## keep the finished results in docs/reference/<configuration>, or add them to it
	$(BIN)/timellama reference export --configfile $(CONFIG)

check-reference: install  ## rebuild the tables of docs/reference from the numbers kept there, and compare
	$(BIN)/timellama reference check

benchmarks: install  ## speed against goals and peers, on an idle machine (docs/benchmarks.md)
	$(SNAKEMAKE) results/backbones/SmolLM2-135M/x6-pretrained/backbone.json
	$(BIN)/python -m pytest benchmarks -q

gpu-check: install  ## check and measure a GPU in eight minutes (docs/reference/gpu); DEVICE=cpu: on tiny shapes
ifeq ($(DEVICE),cpu)
	$(SNAKEMAKE) $(TINY) --configfile config/smoke.yaml
	$(BIN)/python -m benchmarks.gpu --device cpu --tiny --out build/gpu-check --budget 600 --parts $(TINY_PARTS)
else
	$(SNAKEMAKE) $(GPU_INPUT) --configfile config/cpu.yaml
	$(BIN)/python -m benchmarks.gpu --out build/gpu-check
endif

# Any other target is the workflow's. Snakemake, not make, decides what is out of date.
reports/% results/%: install FORCE
	$(SNAKEMAKE) $@ --configfile $(CONFIG)

FORCE:
