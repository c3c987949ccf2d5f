# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo       real recordings through a GNU Radio flowgraph; decisions, a PNG, annotations
#   make test       all tests
#   make companion  GNU Radio Companion with the blocks in it
#   make docs       the pages of docs/ as a site, with a gallery and an API reference
#
# Each installs what is missing first. Other interpreters and torch builds:
#   make setup PYTHON=/opt/radio/bin/python3 TORCH='torch==2.13.0'

VENV := .venv
BIN := $(VENV)/bin
BUILD := build/cmake
PARALLEL := -n $(shell nproc) --dist worksteal # no processor waits for the last file of another
# Folders too: a file that was removed or renamed leaves its mark on them alone.
SOURCES := $(shell find CMakeLists.txt MANIFEST.yml cmake include lib python grc programs models examples \
	-name __pycache__ -prune -o \( -type f -o -type d \) -print 2>/dev/null | sed 's/ /\\ /g')

.PHONY: demo test lint setup companion doctor docs clean

demo: setup
	$(BIN)/python examples/demo.py --out demo-out

test: setup
	cd $(BUILD) && ctest --output-on-failure
	tools/with_display $(BIN)/python -m pytest $(PARALLEL) --ignore=tests/grc --ignore=tests/train
	$(BIN)/python -m pytest $(PARALLEL) tests/train # without what the others load: GNU Radio, OpenVINO, Qt
	tools/with_display $(BIN)/python -m pytest $(PARALLEL) tests/grc # whole programs with windows, as users run them

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cc')

companion: setup
	$(BIN)/gnuradio-companion $(FLOWGRAPH)

doctor: setup
	$(BIN)/tsddae doctor

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/site/index.html"

setup: $(VENV)/.installed

$(VENV)/.packages: pyproject.toml tools/setup_packages tools/install_torch
	tools/setup_packages $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.packages $(SOURCES)
	@mkdir -p $(BUILD)
	cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release \
		-DCMAKE_INSTALL_PREFIX="$(CURDIR)/$(VENV)" \
		-DPython3_EXECUTABLE="$(CURDIR)/$(BIN)/python" >$(BUILD).log 2>&1 \
		|| { cat $(BUILD).log; exit 1; }
	cmake --build $(BUILD) -j"$$(nproc)"
	cmake --build $(BUILD) --target uninstall >/dev/null # what was renamed must not stay,
	rm -rf $(VENV)/lib/python*/site-packages/gr_tsddae # nor what no list of an install names
	cmake --install $(BUILD) >/dev/null
	touch $@

clean:
	rm -rf $(VENV) build demo-out
