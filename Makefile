# SPDX-License-Identifier: Apache-2.0
# make demo    bake the default platform and classify the held-out digits on its device
# make test    every check and every test; make test-fast: the ring that takes less than two minutes
# make bench   the figures of the README
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test test-fast lint bench clean
demo: $(VENV)/ready-demo
	$(BIN)/python examples/digits/demo.py

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

test-fast: lint
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/ready-test
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/ready-test
	$(BIN)/python -m benchmarks

# One virtual environment for all; a stamp for what the system must have. The environment is made by the
# system's own interpreter, so nothing of it is taken along when the checkout moves.
$(VENV)/ready-demo $(VENV)/ready-test: $(VENV)/ready-%: tools/system-packages.sh $(VENV)/packages
	tools/system-packages.sh $*
	@touch $@

$(VENV)/packages: requirements.txt
	tools/system-packages.sh demo
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
