"""Patches of towns with parts of them masked away, to learn from and to measure on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.predictor.beyond.grid import AHEAD, MapGrid, grid_of
from drivesim.predictor.beyond.masks import random_known
from drivesim.town.town import SPACING, Town

_PER_TOWN = 3  # patches of a batch from one town
_TURN, _ASIDE = 0.12, 1.5  # spread of poses about lanes [rad], [m]


class TownMap:
    """The middle of a town as cells, and the places along its lanes."""

    def __init__(self, seed: int) -> None:
        hd_map = Town(seed).window(np.full(2, 0.5 * SPACING)).map
        self.grid: MapGrid = grid_of(hd_map)
        x0, y0, x1, y1 = hd_map.bounds
        x, y = hd_map.lane_graph.points[:, :2].T
        rim = 1.2 * AHEAD
        inside = (x > x0 + rim) & (x < x1 - rim) & (y > y0 + rim) & (y < y1 - rim)
        self.places: NDArray[np.float64] = hd_map.lane_graph.points[inside]

    def patch(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Classes [C, SIDE, SIDE] around a place on a lane, about along it."""
        pose = self.places[rng.integers(len(self.places))].copy()
        pose += rng.normal(0.0, (_ASIDE, _ASIDE, _TURN))
        return self.grid.patch(pose)


class TownPatches:
    """Batches of patches with what is mapped of them; a pure function of the step number.

    `cells` [B, C, SIDE, SIDE] and `known` [B, 2, SIDE, SIDE], both 0 or 1. Raises ValueError for towns that are
    reserved for evaluation, unless they are asked for, and for less than one.
    """

    def __init__(self, towns: int, batch: int, seed: int = 0, first_town: int = 0, held_out: bool = False) -> None:
        from drivesim.world import EVALUATION_TOWNS  # the town's worlds use the predictor, too

        if towns < 1:
            raise ValueError(f"towns: found {towns}, accepted at least 1")
        if first_town + towns > EVALUATION_TOWNS and not held_out:
            raise ValueError(
                f"first_town + towns: found {first_town + towns}, accepted at most {EVALUATION_TOWNS}, or held_out=true"
            )
        self.towns, self.batch, self.seed, self.first = towns, batch, seed, first_town
        self._map = lru_cache(maxsize=towns)(TownMap)

    def __call__(self, step: int) -> dict[str, Any]:
        """The batch of a step."""
        rng = np.random.default_rng([self.seed, 83, step])
        cells: list[NDArray[np.bool_]] = []
        known: list[NDArray[np.bool_]] = []
        while len(cells) < self.batch:
            town = self._map(self.first + int(rng.integers(self.towns)))
            for _ in range(min(_PER_TOWN, self.batch - len(cells))):
                patch, mapped = town.patch(rng), random_known(rng)
                if rng.random() < 0.5:
                    patch, mapped = patch[..., ::-1], mapped[..., ::-1]
                cells.append(patch)
                known.append(mapped)
        return {
            "cells": torch.from_numpy(np.stack(cells).astype(np.float32)),
            "known": torch.from_numpy(np.stack(known).astype(np.float32)),
        }
