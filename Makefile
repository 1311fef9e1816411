# `make demo` and `make test` set everything up themselves on a machine that has only Python and make.
PYTHON ?= python3
BIN := .venv/bin

# Policies of docs/leaderboard.md; a row more is a name more.
POLICIES = planners.constant_speed:ConstantSpeed,planners.lane_follower:LaneFollower,planners.idm:IdmPlanner,$\
	planners.pdm_closed:PdmClosed,$(PUBLISHED),planners.mpc:MpcPlanner,planners.search:SearchPlanner
PUBLISHED = {policy:'planners.pdm_closed:PdmClosed',name:PdmClosed-published,$\
	options:{emergency_speed:5.0,heed_all:false}}

.PHONY: setup demo test lint leaderboard compare

setup: .venv/installed

.venv/installed: pyproject.toml setup.py constraints.txt $(wildcard drivesim/kernels/*.pyx drivesim/kernels/*.pxd drivesim/nn/*.pyx drivesim/nn/*.h)
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

leaderboard: setup
	$(BIN)/drivesim evaluate "policies=[$(POLICIES)]" suite=library out=runs/leaderboard/library page=docs/leaderboard.md workers=2
	$(BIN)/drivesim evaluate "policies=[$(POLICIES)]" suite=town towns=10 out=runs/leaderboard/town page=docs/leaderboard.md workers=2

# highway-env asks for a Gymnasium that is newer than this project's, which what it does in a step does not depend on:
# it is put into a folder of its own, without dependencies.
compare: setup
	$(BIN)/pip install -q --no-deps --upgrade --target build/compare -r examples/highway_env.txt
	PYTHONPATH=build/compare $(BIN)/python -m examples.compare_highway_env
