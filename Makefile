# make run: the quick study. make test: the fast tests, which take minutes; make test-all: all tests.
# make docs: the documentation as a site. Each creates the virtual environment first.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# Processes of the slow tests, which wait a lot, for a queue or a download: one more than cores.
WAITING = $$(($(shell getconf _NPROCESSORS_ONLN) + 1))

ifneq ($(words $(CURDIR)),1)
$(error There is a blank in the path of this folder, "$(CURDIR)", and Snakemake cannot start jobs with \
a Python in such a path. Move the folder to a path without blanks)
endif

.PHONY: run study docs notebooks test test-all test-slow lint build clean

run: $(VENV)/.installed
	$(BIN)/snakemake --cores all --configfile config/quick.yaml
	$(BIN)/snakemake --configfile config/quick.yaml --report results/quick/report.html
	@echo
	@echo "Figures  results/quick/figures"
	@echo "Tables   results/quick/tables"
	@echo "Report   results/quick/report.html"
	@echo "Open this to play with the study: results/quick/explorer.html"

study: $(VENV)/.installed
	$(BIN)/snakemake --cores all
	$(BIN)/snakemake --report results/paper/report.html

# Sphinx counts every warning as an error, such as a link that leads nowhere.
docs: $(VENV)/.docs-installed
	$(BIN)/python docs/site/configuration.py
	$(BIN)/python -m sphinx -q --fail-on-warning --keep-going -c docs/site . build/docs
	@echo
	@echo "Links to other sites   build/docs/external-links.txt"
	@echo "The paper's study, to play with   build/docs/explorer.html"
	@echo "Open this to read: build/docs/index.html"

# Run them, and keep their output.
notebooks: $(VENV)/.docs-installed
	$(BIN)/python docs/site/notebooks.py

test: $(VENV)/.tests-installed
	$(BIN)/pytest $(OPTIONS)

test-slow: $(VENV)/.all-installed
	$(BIN)/pytest -n $(WAITING) -m slow $(OPTIONS)

test-all: test test-slow

lint: $(VENV)/.tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# Wheel and source archive, checked; then the wheel, tried in its own environment.
build: $(VENV)/bin/python
	rm -rf dist build/tried
	$(BIN)/python -m pip install --quiet build twine
	$(BIN)/python -m build --quiet --outdir dist
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/tried/environment
	build/tried/environment/bin/pip install --quiet dist/*.whl
	cd build/tried && environment/bin/boxest new study
	cd build/tried/study && ../environment/bin/snakemake --quiet \
		--config 'data={images: 200}' 'settings={epochs: 1}' \
		'grid={batch_size: [16], seeds: 1}'
	cd build/tried && environment/bin/boxest status study --once
	cd build/tried && environment/bin/boxest train study/results/data --epochs 1
	@echo "To be published: dist"

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "boxest needs Python 3.11 or newer, $(PYTHON) is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	$(BIN)/pip install --quiet -e '.[test]'
	@touch $@

$(VENV)/.all-installed: $(VENV)/.tests-installed
	$(BIN)/pip install --quiet -e '.[test,jax]'
	@touch $@

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[docs,export]'
	@touch $@
