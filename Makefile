# `make demo` and `make test` set everything up themselves on a machine that has only Python and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/drivesim drive policy=planners.lane_follower:LaneFollower seconds=20 out=drive.mp4

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
