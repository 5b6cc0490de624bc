# SPDX-License-Identifier: Apache-2.0
# make demo    bake the default platform, compile the digits model, and classify the held-out digits on its device
# make tune    tune a convolution of the digits model with AutoTVM on that device
# make test    run every check and every test; make test-fast: the tests that take less than two minutes
# make bench   measure the figures of the README
# make docs    build the pages of docs/ as a site in build/docs
# make picture draw the demo as docs/images/demo.svg
# make coverage   report the lines of the host tools that the fast tests run in their own process
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The demo needs only a few packages, and works without those of `mtvm.py compile`.
DEMO_VENV := .cache/demo-venv
# Packages of `mtvm.py compile`, which a platform has too.
COMPILE := {{cookiecutter.platform_slug}}/requirements-compile.txt
# TVM's own client and server of the Project API, which tests and benchmarks run with this repository's.
TVM    := .cache/tvm-project-api
export MICROTVM_TVM_PROJECT_API := $(CURDIR)/$(TVM)
# A whole TVM, with which tests use platforms.
TVM_VENV := .cache/tvm-venv
export MICROTVM_TVM_PYTHON := $(CURDIR)/$(TVM_VENV)/bin/python

.PHONY: demo tune test test-fast lint bench docs picture coverage clean
demo: $(DEMO_VENV)/ready
	$(DEMO_VENV)/bin/python examples/digits/demo.py

tune: $(VENV)/ready-demo $(TVM_VENV)/ready
	$(BIN)/cookiecutter . --no-input --overwrite-if-exists --output-dir build/tune platform_name=platform
	$(TVM_VENV)/bin/python examples/tune/tune.py build/tune/platform

test: lint $(TVM)/client.py $(TVM_VENV)/ready
	$(BIN)/pytest -n 2 --dist worksteal

test-fast: lint $(TVM)/client.py
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/ready-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.prose
	find runtime/device runtime/kernels tests benchmarks '{{cookiecutter.platform_slug}}' -name '*.[ch]' \
	    -exec $(BIN)/clang-format --dry-run --Werror {} +

bench: $(VENV)/ready-test $(TVM)/client.py $(TVM_VENV)/ready
	$(BIN)/python -m benchmarks

docs: $(VENV)/packages
	$(BIN)/python -m tools.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

picture: $(DEMO_VENV)/ready
	$(DEMO_VENV)/bin/python -m tools.picture

coverage: $(VENV)/ready-test $(TVM)/client.py
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" --cov --cov-report=term:skip-covered

# Without the stamp file the next call tries to install TVM again.
$(DEMO_VENV)/ready: tools/demo_venv.py tools/system-packages.sh requirements.txt $(COMPILE)
	tools/system-packages.sh demo
	$(PYTHON) -m tools.demo_venv $(DEMO_VENV)

# One virtual environment for the other targets, and a stamp file for the system packages of each.
$(VENV)/ready-demo $(VENV)/ready-test: $(VENV)/ready-%: tools/system-packages.sh $(VENV)/packages
	tools/system-packages.sh $*
	@touch $@

$(VENV)/packages: requirements.txt $(COMPILE)
	tools/system-packages.sh demo
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r '$(COMPILE)'
	@touch $@

$(TVM)/client.py: tools/tvm_client.py | $(VENV)/packages
	$(BIN)/python tools/tvm_client.py $(TVM)

$(TVM_VENV)/ready: requirements-tvm.txt tools/tvm_venv.py | $(VENV)/packages
	$(BIN)/python -m tools.tvm_venv $(TVM_VENV)

clean:
	rm -rf $(VENV) .cache build .pytest_cache .mypy_cache .ruff_cache .hypothesis
