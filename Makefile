# Every target but `help` and `clean` first makes the environment in .venv, exactly as requirements/dev.lock says.
# PYTHON chooses the interpreter it is made with; ARGS goes to the command, as in: make test ARGS="-k ledger"

PYTHON ?= python3
RUN = .venv/bin/python -m
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(ARGS) pyproject.toml

.PHONY: help .venv demo up test lint bench lock release clean
.DEFAULT_GOAL := help

help:
	@echo "make .venv   the environment: Python 3.11 or newer and what requirements/dev.lock pins"
	@echo "make demo    one run from prompt to image against the stand-in for kie.ai, without a key"
	@echo "make up      the local fleet, until Ctrl-C"
	@echo "make test    all tests"
	@echo "make lint    format, style, spelling, types and import contracts"
	@echo "make bench   the measurements that docs quote"
	@echo "make lock    the lock files anew from pyproject.toml; ARGS=--upgrade takes newer releases"
	@echo "make release a source distribution and a wheel of HEAD in dist/, checked; nothing is uploaded"
	@echo "make clean   remove what was generated, the environment too"

.venv: .venv/.locked

.venv/.locked: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Limner needs Python 3.11 or newer, and \
	$(PYTHON) is %d.%d: name another one, as in make PYTHON=python3.13" % sys.version_info[:2])'
	@echo "making .venv from requirements/dev.lock"
	@.venv/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(RUN) pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(RUN) pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv
	@$(RUN) examples.demo $(ARGS)

up: .venv
	@$(RUN) sandbox up $(ARGS)

test: .venv
	@$(RUN) pytest $(ARGS)

lint: .venv
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) codespell_lib
	$(RUN) mypy
	.venv/bin/lint-imports

bench: .venv
	@$(RUN) bench $(ARGS)

# The smaller two are constrained by the first, so that all three pin the same releases.
lock: .venv
	$(LOCK) --all-extras --group dev --group tools -o requirements/dev.lock
	$(LOCK) --extra sandbox --group tools -c requirements/dev.lock -o requirements/local.lock
	$(LOCK) --extra fleet -c requirements/dev.lock -o requirements/fleet.lock

release: .venv
	@$(RUN) release

clean:
	rm -rf .venv .limner build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
