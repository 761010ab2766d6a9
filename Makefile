# make demo: fit, distil, calibrate and evaluate on scikit-learn's digits.   make test: lint, types and the fast tests.   Both set up first,
# which downloads PyTorch: for its CPU-only build,  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test fast slow docs clean
setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "novelette needs Python 3.11 or later; say which with make PYTHON=python3.12"; exit 2; }
	@echo "setting up .venv: pip downloads PyTorch, which takes minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,serve,data,dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python -m novelette.demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2

fast: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not gpu and not heavy" -n 2

slow: $(READY)
	$(BIN)/python -m pytest -m slow

docs: $(READY)
	$(BIN)/python docs/make_cli.py

clean:
	rm -rf .venv build dist *.egg-info
