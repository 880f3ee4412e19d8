PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: search pipeline test check format clean

search: $(VENV)/installed
	$(BIN)/nas-search --config experiments/digits.yaml $(ARGS)

# From images to a carded int8 model. What is done stays done: after a stop, `make pipeline` goes on where it was.
# Other images or another target want a folder of their own: make pipeline DATA=flowers/ PIPELINE=runs/flowers
DATA ?= digits
PIPELINE ?= runs/pipeline
SEARCH ?= --config experiments/digits.yaml
ADAPT ?= --target 0.9
TRAIN ?= --resolution 32
EXPORT ?=

# $(call stage,command,its options): goes on in the stage's folder where it was begun
stage = if [ -e $(basename $@)/config.yaml ]; then $(BIN)/$(1) --resume $(basename $@); \
	else $(BIN)/$(1) $(2) --data $(DATA) --out $(basename $@); fi && touch $@

pipeline: $(PIPELINE)/shipped.done

$(PIPELINE)/searched.done: | $(VENV)/installed
	$(call stage,nas-search,$(SEARCH))

$(PIPELINE)/adapted.done: $(PIPELINE)/searched.done
	$(call stage,nas-adapt,$(PIPELINE)/searched $(ADAPT))

$(PIPELINE)/trained.done: $(PIPELINE)/adapted.done
	$(call stage,nas-train,$(PIPELINE)/adapted/adapted.yaml $(TRAIN))

$(PIPELINE)/shipped.done: $(PIPELINE)/trained.done
	$(BIN)/nas-export $(PIPELINE)/trained --found-in $(PIPELINE)/searched --found-in $(PIPELINE)/adapted \
		$(EXPORT) --out $(PIPELINE)/shipped
	touch $@

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
