"""Map expansion of one nuScenes location, through the official `NuScenesMap`, as `HdMap` windows around the ego."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.data.nuscenes_lanes import lane_graph, lanes_within
from drivesim.scene import LINE_CLASSES, MAP_CLASSES, HdMap, LaneGraph

if TYPE_CHECKING:
    from nuscenes.map_expansion.map_api import NuScenesMap

# Windows are cut for cells of a grid, so one object serves as long as the ego stays in its cell [m].
CELL = 50.0
# Windows kept per location; a drive visits a few, a data loader many.
KEPT_WINDOWS = 64


class MapSheet:
    """All map elements of one location with a spatial index per class."""

    def __init__(self, layers: dict[str, list[shapely.Geometry]], graph: LaneGraph) -> None:
        self.graph = graph
        self._layers = {name: np.array(layers[name], dtype=object) for name in MAP_CLASSES}
        self._trees = {name: shapely.STRtree(geometries) for name, geometries in self._layers.items()}
        self._windows: dict[tuple[int, int, float], HdMap] = {}

    def layer(self, name: str) -> NDArray:
        """All elements of a map class, as shapely geometries."""
        return self._layers[name]

    def window(self, xy: NDArray[np.float64], radius: float) -> HdMap:
        """Map that is complete for at least `radius` [m] around a point [2]; the same object throughout a cell."""
        i, j = math.floor(float(xy[0]) / CELL), math.floor(float(xy[1]) / CELL)
        key = (i, j, radius)
        if key not in self._windows:
            if len(self._windows) >= KEPT_WINDOWS:
                self._windows.pop(next(iter(self._windows)))
            bounds = (i * CELL - radius, j * CELL - radius, (i + 1) * CELL + radius, (j + 1) * CELL + radius)
            self._windows[key] = self.cut(bounds)
        return self._windows[key]

    def cut(self, bounds: tuple[float, float, float, float]) -> HdMap:
        """Map inside a rectangle (xmin, ymin, xmax, ymax) [m]: areas and lines clipped, lanes that touch it whole."""
        area = shapely.box(*bounds)
        layers = {}
        for name, geometries in self._layers.items():
            near = geometries[np.sort(self._trees[name].query(area, predicate="intersects"))]
            layers[name] = tuple(_parts(shapely.intersection(near, area), name in LINE_CLASSES))
        return HdMap(layers, lanes_within(self.graph, area), bounds)


def _parts(geometries: Iterable[shapely.Geometry], lines: bool) -> list[shapely.Geometry]:
    """Single, valid, non-empty polygons (or line strings) of geometries of any kind."""
    flat = shapely.get_parts(shapely.get_parts(np.asarray(geometries, dtype=object)))
    flat = flat[~shapely.is_empty(flat)]
    return list(flat[shapely.get_type_id(flat) == (1 if lines else 3)])


def _expansion_path(dataroot: Path, location: str) -> Path:
    return dataroot / "maps" / "expansion" / f"{location}.json"


def _open_devkit_map(dataroot: Path, location: str) -> NuScenesMap:
    """The devkit's map; ValueError that names the file and what is wrong with it."""
    # The devkit switches matplotlib to its own style when it is imported.
    import matplotlib

    style = matplotlib.rcParams.copy()
    from nuscenes.map_expansion.map_api import NuScenesMap

    matplotlib.rcParams.update(style)
    path = _expansion_path(dataroot, location)
    try:
        return NuScenesMap(dataroot=str(dataroot), map_name=location)
    except json.JSONDecodeError as fault:
        raise ValueError(f"{path}: found corrupt JSON ({fault}), accepted a map expansion of version 1.3") from fault
    except AssertionError as fault:
        raise ValueError(f"{path}: found location {location!r}, accepted the four that the devkit knows") from fault
    except (KeyError, TypeError) as fault:
        raise ValueError(f"{path}: found no {fault} (layer, field or token), accepted a map expansion of version 1.3"
                         ) from fault  # fmt: skip
    except Exception as fault:  # the devkit raises a bare Exception for old versions; anything else is not ours to name
        if type(fault) is not Exception:
            raise
        raise ValueError(f"{path}: found an outdated map, accepted version 1.3 or later") from fault


def _geometries(devkit: NuScenesMap, name: str) -> list[shapely.Geometry]:
    """All elements of one class; self-crossing polygons are made valid."""
    records = getattr(devkit, name)
    if name in LINE_CLASSES:
        return _parts([devkit.extract_line(record["line_token"]) for record in records], lines=True)
    tokens = [token for record in records for token in record.get("polygon_tokens", [record.get("polygon_token")])]
    polygons = np.array([devkit.extract_polygon(token) for token in tokens], dtype=object)
    return _parts([polygon if polygon.is_valid else shapely.make_valid(polygon) for polygon in polygons], lines=False)


def open_sheet(dataroot: Path, location: str) -> MapSheet | None:
    """All map elements of a location; None if the dataroot has no map expansion for it."""
    if not _expansion_path(dataroot, location).is_file():
        return None
    devkit = _open_devkit_map(dataroot, location)
    return MapSheet({name: _geometries(devkit, name) for name in MAP_CLASSES}, lane_graph(devkit))
