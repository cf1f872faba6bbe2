# All that a working copy needs. Each target stands on its own from a fresh clone: only make and
# Python 3.11 or newer are assumed. CONTRIBUTING.md explains the targets.

PYTHON ?= python3
VENV ?= .venv

TESTS ?= # what wheel-test and lowest run; all where empty
MODULES ?= grid noise radiometry tiles # what mutants puts faults into

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e

.PHONY: install demo check format test test-full docs build wheel-test lowest mutants clean
.DEFAULT_GOAL := install

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/rs-sr demo

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/.installed-test
	$(BIN)/pytest

test-full: $(VENV)/.installed-test
	$(BIN)/pytest -m ""

docs: $(VENV)/.installed-docs
	$(BIN)/python docs/reference.py
	$(BIN)/mkdocs build --strict --quiet

build: $(VENV)/.installed-dev
	$(BIN)/python -m build

# What users get: the wheel in an environment of its own, tried by the tests that the sdist holds.
wheel-test: build
	rm -rf build/wheel-test && mkdir -p build/wheel-test
	$(PYTHON) -m venv build/wheel-test/venv
	tar -xzf dist/*.tar.gz -C build/wheel-test --strip-components=1
	cd build/wheel-test && venv/bin/python -m pip install --disable-pip-version-check -q \
	    -c constraints.txt "$$(ls $(CURDIR)/dist/*.whl)[test]"
	# PYTHONSAFEPATH: the sources that lie in that folder stay off sys.path.
	cd build/wheel-test && PYTHONSAFEPATH=1 venv/bin/python -m pytest $(TESTS)

# The oldest releases that pyproject.toml allows, in an environment of its own.
lowest: $(VENV)/.installed-dev
	rm -rf build/lowest
	$(PYTHON) -m venv build/lowest
	$(BIN)/uv pip install --python build/lowest/bin/python -q --resolution lowest-direct \
	    -e '.[test]'
	build/lowest/bin/python -m pytest $(TESTS)

# Faults put into a copy of what is committed, one at a time; cosmic-ray.toml says which.
mutants: $(VENV)/.installed-test
	rm -rf build/mutants && mkdir -p build/mutants
	$(PYTHON) -m venv build/mutants/venv
	build/mutants/venv/bin/python -m pip install --disable-pip-version-check -q \
	    'cosmic-ray>=8.7,<8.8'
	git archive HEAD | tar -x -C build/mutants
	# PYTHONPATH: the copy comes before the working copy that is installed.
	cd build/mutants && export CI=true PYTHONPATH="$$PWD" PATH="$(abspath $(BIN)):$$PATH" && \
	for module in $(MODULES); do \
	    sed "s/MODULE/$$module/" cosmic-ray.toml > $$module.toml && \
	    venv/bin/cosmic-ray init $$module.toml $$module.sqlite && \
	    venv/bin/cr-filter-operators $$module.sqlite $$module.toml && \
	    venv/bin/cosmic-ray baseline $$module.toml && \
	    venv/bin/cosmic-ray exec $$module.toml $$module.sqlite && \
	    venv/bin/cr-report --surviving-only --show-diff $$module.sqlite || exit; \
	done

# What the other targets leave behind, the environment (large, slow to make anew) excepted.
clean:
	rm -rf build dist site *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The stamps: a file in the environment for each set of packages that stands there.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "rs-sr needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.12" \
	    % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(INSTALL) .
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
