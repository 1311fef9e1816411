"""Where the lanes of a piece of town conflict and are blocked, and how such marks become those of a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drivesim.scene import LaneGraph, Tracks
from drivesim.town.lanes import LaneTable
from drivesim.traffic.centre_lines import of_curves
from drivesim.traffic.conflicts import Conflicts, find_conflicts
from drivesim.traffic.obstacles import first_obstacles
from drivesim.traffic.tables import LaneMarks

_NOBODY = np.zeros(0, np.int64)
_NONE = Conflicts(_NOBODY, _NOBODY, np.zeros(0), np.zeros(0))


def mark_lanes(table: LaneTable, standing: Tracks) -> LaneMarks:
    """Marks of the lanes of one piece, among themselves and by what stands there."""
    ids, _, _, in_junction, _, point_count, link_count = table.links.T
    source = np.repeat(np.arange(len(ids)), link_count)
    targets = table.successors.tolist()
    meets = in_junction.astype(bool)
    if len(set(targets)) < len(targets):
        meets[[row for row, target in zip(source.tolist(), targets) if targets.count(target) > 1]] = True
    if not len(standing) and not meets.any():
        return LaneMarks(_NONE, np.full(len(ids), np.inf))
    lines = of_curves(table.points, point_count)
    blocked = first_obstacles(lines, standing)
    if not meets.any():
        return LaneMarks(_NONE, blocked)
    link, target = np.nonzero(table.successors[:, None] == ids)
    return LaneMarks(find_conflicts(lines, np.flatnonzero(meets), (source[link], target)), blocked)


def put_marks_together(parts: Sequence[tuple[LaneTable, LaneMarks]], graph: LaneGraph) -> LaneMarks:
    """Marks of a lane graph that holds the lanes of all parts."""
    counts = np.array([len(table.links) for table, _ in parts])
    rows = graph.ids.searchsorted(np.concatenate([table.links[:, 0] for table, _ in parts]))
    blocked = np.empty(len(rows))
    blocked[rows] = np.concatenate([marks.blocked for _, marks in parts])
    found = [marks.conflicts for _, marks in parts]
    start = np.repeat(np.cumsum(counts) - counts, [len(conflicts.first) for conflicts in found])
    first, second, enter, leave = (
        np.concatenate([getattr(conflicts, name) for conflicts in found])
        for name in ("first", "second", "enter", "leave")
    )
    return LaneMarks(Conflicts(rows.take(start + first), rows.take(start + second), enter, leave), blocked)
