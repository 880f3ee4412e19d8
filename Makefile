PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: search test check format clean

search: $(VENV)/installed
	$(BIN)/nas-search --config experiments/digits.yaml $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,tflite]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
