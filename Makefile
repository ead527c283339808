# The verbs of this project. On a fresh machine `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Processes that run the tests; each starts the servers that its files need.
WORKERS := 2

.PHONY: demo test check format bench clean setup

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[demo,dev]"
	touch $@

demo: $(STAMP)
	$(BIN)/python scripts/run_demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_docs.py

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Selection at full size beside the peers, hours; BENCH="--scale 0.02" shows all of it small, --only scale ours alone.
bench: $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python scripts/bench_select.py --out build/bench_select.jsonl $(BENCH)

clean:
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache
