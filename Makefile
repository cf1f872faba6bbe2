# The tasks of a working copy. Each target works in a fresh clone, and needs only make and Python
# 3.11 or newer. CONTRIBUTING.md explains the targets.

PYTHON ?= python3
VENV ?= .venv

# Test files and options for pytest. Every target that runs pytest passes them on.
TESTS ?=
# The modules that `make mutants` changes: paths in rs_superres/ without the suffix.
MODULES ?= grid/grid grid/lattice image/noise image/radiometry scene/samples \
    engine/planning engine/outputs engine/store engine/runner

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e

.PHONY: install hooks demo check types format test test-full cov docs build wheel-test lowest
.PHONY: qgis qgis-test mutants clean
.DEFAULT_GOAL := install

install: $(VENV)/.installed

hooks: $(VENV)/.installed-dev
	$(BIN)/pre-commit install

demo: $(VENV)/.installed
	$(BIN)/rs-sr demo

# All tools run, even if one fails.
check: $(VENV)/.installed-dev
	@status=0; \
	for command in 'ruff check .' 'ruff format --check .' mypy 'lint-imports --no-cache'; do \
	    echo "$(BIN)/$$command"; \
	    $(BIN)/$$command || status=1; \
	done; \
	exit $$status

types: $(VENV)/.installed-dev
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/.installed-test
	$(BIN)/pytest $(TESTS)

test-full: $(VENV)/.installed-test
	$(BIN)/pytest -m "not qgis" $(TESTS)

# The report is printed even if a test fails. pyproject.toml holds the settings.
cov: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(TESTS); status=$$?; \
	$(BIN)/coverage combine -q && $(BIN)/coverage report && exit $$status

docs: $(VENV)/.installed-docs
	$(BIN)/python docs/reference.py
	$(BIN)/mkdocs build --strict --quiet

build: $(VENV)/.installed-dev
	$(BIN)/python -m build

# Installs the wheel as users do, and runs the tests of the source distribution on it.
wheel-test: build
	rm -rf build/wheel-test && mkdir -p build/wheel-test
	$(PYTHON) -m venv build/wheel-test/venv
	tar -xzf dist/*.tar.gz -C build/wheel-test --strip-components=1
	cd build/wheel-test && venv/bin/python -m pip install --disable-pip-version-check -q \
	    -c constraints.txt "$$(ls $(CURDIR)/dist/*.whl)[test]"
	# PYTHONSAFEPATH keeps the sources in that folder off sys.path, so the tests import the wheel.
	cd build/wheel-test && PYTHONSAFEPATH=1 venv/bin/python -m pytest $(TESTS)

# Tests the oldest releases that pyproject.toml allows.
lowest: $(VENV)/.installed-dev
	rm -rf build/lowest
	$(PYTHON) -m venv build/lowest
	$(BIN)/uv pip install --python build/lowest/bin/python -q --resolution lowest-direct \
	    -e '.[test]'
	build/lowest/bin/python -m pytest $(TESTS)

# Writes the plugin for QGIS. It needs no environment.
qgis:
	$(PYTHON) qgis/build.py dist

# Tests the plugin in QGIS itself, which the system must have.
qgis-test: $(VENV)/.installed-test
	$(BIN)/pytest tests/qgis $(TESTS) -m qgis

# Changes a copy of the last commit, one small fault at a time. cosmic-ray.toml lists the faults.
# A module without a test file of its name is tested by all tests of its folder.
mutants: $(VENV)/.installed-test
	rm -rf build/mutants && mkdir -p build/mutants
	$(PYTHON) -m venv build/mutants/venv
	build/mutants/venv/bin/python -m pip install --disable-pip-version-check -q \
	    'cosmic-ray>=8.7,<8.8'
	git archive HEAD | tar -x -C build/mutants
	# PYTHONPATH: Python imports the changed copy, not the working copy that is installed.
	cd build/mutants && export CI=true PYTHONPATH="$$PWD" PATH="$(abspath $(BIN)):$$PATH" && \
	for module in $(MODULES); do \
	    folder=tests/$$(dirname $$module) && tests=$$folder/test_$$(basename $$module).py && \
	    { [ -f $$tests ] || tests=$$folder; } && \
	    name=$$(echo $$module | tr / -) && \
	    sed "s|MODULE|$$module|; s|TESTS|$$tests|" cosmic-ray.toml > $$name.toml && \
	    venv/bin/cosmic-ray init $$name.toml $$name.sqlite && \
	    venv/bin/cr-filter-operators $$name.sqlite $$name.toml && \
	    venv/bin/cosmic-ray baseline $$name.toml && \
	    venv/bin/cosmic-ray exec $$name.toml $$name.sqlite && \
	    venv/bin/cr-report --surviving-only --show-diff $$name.sqlite || exit; \
	done

# Keeps the environment, which is large and slow to create.
clean:
	rm -rf build dist site *.egg-info .coverage .coverage.* htmlcov \
	    .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# Stamp files in the environment: one for each set of packages that is installed there.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "rs-sr needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.12" \
	    % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(INSTALL) '.[all]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/.created
	$(INSTALL) '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.created
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/.created
	$(INSTALL) '.[docs]'
	@touch $@ $(VENV)/.installed
