# make run: the study in its quick form. make test: every test that this machine can run.
# Both make their own virtual environment first.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: run study test lint clean

run: $(VENV)/.installed
	$(BIN)/snakemake --cores all --configfile config/quick.yaml
	$(BIN)/snakemake --configfile config/quick.yaml --report results/quick/report.html
	@echo
	@echo "Figures  results/quick/figures"
	@echo "Tables   results/quick/tables"
	@echo "Report   results/quick/report.html"

study: $(VENV)/.installed
	$(BIN)/snakemake --cores all
	$(BIN)/snakemake --report results/paper/report.html

test: $(VENV)/.tests-installed
	$(BIN)/python -m pytest -n logical --dist loadfile

lint: $(VENV)/.tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "boxest needs Python 3.11 or newer, $(PYTHON) is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[test,jax]'
	@touch $@
