"""Puts the actors of a scenario on their paths."""

from __future__ import annotations

import numpy as np

from drivesim.events import ego_footprint
from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.scenarios.actors import NOBODY, START, Actors, Cast, place
from drivesim.scenarios.line import BEFORE, ReferenceLine, lanes_before, sampled
from drivesim.scenarios.places import Found
from drivesim.scenarios.schema import Actor, Scenario
from drivesim.scenarios.yaml_tree import ScenarioError
from drivesim.scene import EgoState, Tracks, VehicleShape
from drivesim.town.hashing import generator
from drivesim.traffic.newcomers import make_body
from drivesim.traffic.paths import follow_lanes
from drivesim.traffic.state import PATH_POINTS, Bodies, Complex, Paths, append, empty_state, no_bodies
from drivesim.traffic.tables import LaneTables

FIRST_ID = 1 << 62  # ids of scripted actors lie beyond all of the town's
_MEETING = 1.3  # [m] between two ways where they meet
_TURNS = {"straight": 0.0, "left": 1.5, "right": -1.5}  # [rad]
_METRES = np.arange(PATH_POINTS) - START


def cast_actors(scenario: Scenario, found: Found, tables: LaneTables, seed: int) -> tuple[Cast, Actors]:
    """All actors at their start. Raises ScenarioError for a place that the town does not have."""
    bodies, points, meets = no_bodies(), [], []
    for index, actor in enumerate(scenario.actors):
        bodies = append(bodies, _body(actor, FIRST_ID + index, seed))
        path, meeting = _path(scenario, actor, found, tables)
        points.append(path)
        meets.append(meeting)
    grid = np.array(points).reshape(-1, PATH_POINTS)
    turned = np.array([actor.turned for actor in scenario.actors])
    names = tuple(actor.name for actor in scenario.actors)
    cast = Cast(names, bodies, _paths(grid), turned, np.array(meets))
    offset = np.array([start_offset(scenario, actor, found) for actor in scenario.actors])
    return cast, place(cast, _at_start(scenario, offset))


def _at_start(scenario: Scenario, offset: np.ndarray) -> Actors:
    count = len(scenario.actors)
    zero, nowhere = np.zeros(count), np.zeros(count, np.complex128)
    speed = np.array([actor.speed for actor in scenario.actors])
    return Actors(
        s=np.full(count, float(START)),
        offset=offset,
        speed=speed,
        acceleration=zero,
        wanted=speed,
        rate=np.full(count, 3.0),
        reacts=np.array([actor.reacts for actor in scenario.actors], bool),
        present=np.array([actor.present for actor in scenario.actors], bool),
        move_from=offset,
        move_to=offset,
        move_begin=np.full(count, np.inf),
        move_over=np.ones(count),
        door=zero,
        door_to=zero,
        keep_to=np.full(count, NOBODY),
        keep_gap=zero,
        keep_seconds=zero,
        keep_side=zero,
        position=nowhere,
        direction=nowhere,
        velocity=nowhere,
    )


def _body(actor: Actor, identity: int, seed: int) -> Bodies:
    body = make_body(identity, actor.class_name, 1.0, 40.0, generator(seed, 73, identity - FIRST_ID))
    if actor.size is None:
        return body
    return Bodies(body.ids, body.class_ids, np.array([actor.size]), body.color, body.eagerness, body.top_speed)


def _paths(points: Complex) -> Paths:
    heading = np.diff(points, axis=1, append=2.0 * points[:, -1:] - points[:, -2:-1])
    blank = empty_state(0).paths
    columns = {name: getattr(blank, name) for name in Paths.__dataclass_fields__}
    return Paths(**(columns | {"points": points, "heading": heading / np.maximum(np.abs(heading), 1e-9)}))


def lane_offset(scenario: Scenario, line: int, lane: str, found: Found) -> float:
    """Offset [m] of a lane from the reference line; ScenarioError where the place has none."""
    if lane not in found.offsets:
        raise ScenarioError(
            f"{scenario.file}:{line}: lane: found {lane!r}, accepted at this place {', '.join(found.offsets)}"
        )
    return found.offsets[lane]


def start_offset(scenario: Scenario, actor: Actor, found: Found) -> float:
    """Offset [m] of an actor to the left of its own path."""
    if actor.path in ("across", "crossing", "points"):
        return 0.0
    total = lane_offset(scenario, actor.line, actor.lane, found) + actor.offset
    return -total if actor.path == "against" else total


def _path(scenario: Scenario, actor: Actor, found: Found, tables: LaneTables) -> tuple[Complex, float]:
    """Points [PATH_POINTS] and where they meet the reference line [m]."""
    line = found.line
    if actor.path in ("along", "against"):
        return line.places(actor.at + _METRES * (1.0 if actor.path == "along" else -1.0)), np.nan
    if actor.path == "across":
        way = line.direction(actor.at) * (1j if actor.side == "right" else -1j)
        return line.place(actor.at) + (_METRES - actor.before) * way, actor.at
    if actor.path == "points":
        return _through(line, np.array(actor.points)), np.nan
    return _crossing(scenario, actor, found, tables)


def _through(line: ReferenceLine, points: np.ndarray) -> Complex:
    """Points [PATH_POINTS] of the way through (at, offset) [m] beside the line, straight on beyond both ends."""
    pieces = np.maximum(np.ceil(np.abs(np.diff(points, axis=0)).max(axis=1)).astype(int), 1)
    fine = np.concatenate([
        *(np.linspace(a, b, n, endpoint=False) for a, b, n in zip(points, points[1:], pieces)), points[-1:],
    ])  # fmt: skip
    heading = line.heading[np.clip(fine[:, 0] + BEFORE, 0, len(line.heading) - 1).astype(int)]
    places = line.places(fine[:, 0]) + 1j * fine[:, 1] * heading
    places = places[np.append(True, np.abs(np.diff(places)) > 1e-6)]
    axis = np.append(0.0, np.cumsum(np.abs(np.diff(places))))
    first, last = (places[1] - places[0]) / axis[1], (places[-1] - places[-2]) / (axis[-1] - axis[-2])
    way = np.interp(_METRES, axis, places)
    return way + np.minimum(_METRES, 0.0) * first + np.maximum(_METRES - axis[-1], 0.0) * last


def _crossing(scenario: Scenario, actor: Actor, found: Found, tables: LaneTables) -> tuple[Complex, float]:
    """The way of somebody else through the ego's next junction, that meets the ego's."""
    best: tuple[float, int, float, float] | None = None
    if found.junction is not None:
        best = min(_meeting_lanes(actor, found, tables), default=None)
    if best is None:
        raise ScenarioError(
            f"{scenario.file}:{actor.line}: actors.{actor.name}.side: found no lane from {actor.side!r} that meets the "
            "ego's way at this place, accepted another side or place"
        )
    _, lane, along, meets = best
    lanes = [*lanes_before(tables, lane, actor.before + START - along + 1.0, found.line.lanes), lane]
    start = float(tables.length[lanes[:-1]].sum()) + along - actor.before - START
    lanes = [*lanes[:-1], *follow_lanes(tables, lane, PATH_POINTS, (found.route_seed, 12))]
    edges = np.append(0.0, np.cumsum(tables.length[lanes])) - start
    return sampled(tables, lanes, edges, 0.0, PATH_POINTS - 1.0), meets


def _meeting_lanes(actor: Actor, found: Found, tables: LaneTables) -> list[tuple[float, int, float, float]]:
    """Lanes of others through the ego's junction: how far they are from turning as wanted [rad], index, and where the
    ways meet on both [m]."""
    assert found.junction is not None
    line, graph = found.line, tables.graph
    begin, end = found.junction
    own = np.array([line.place(at) for at in np.arange(begin, end + 1.0)])
    middle = own[len(own) // 2]
    starts = tables.points[graph.offsets[:-1]]
    near = np.flatnonzero(graph.in_junction & (np.abs(starts - middle) < 45.0))
    candidates = []
    for lane in near.tolist():
        if lane in line.lanes:
            continue
        points = tables.points[graph.offsets[lane] : graph.offsets[lane + 1]]
        gap = np.abs(points[:, None] - own)
        touching = np.flatnonzero(gap.min(axis=1) < _MEETING)
        if touching.size == 0 or touching[0] == 0:  # they never meet, or part
            continue
        row = int(touching[0])
        headings = graph.points[graph.offsets[lane] : graph.offsets[lane + 1], 2]
        relative = np.angle(np.exp(1j * headings[0]) * np.conj(line.direction(begin)))
        if _side_of(float(relative)) != actor.side:
            continue
        turn = abs(float(np.angle(np.exp(1j * (headings[-1] - headings[0]))) - _TURNS[actor.turn]))
        meets = begin + int(gap[row].argmin())
        candidates.append((turn, lane, float(graph.arc_length[graph.offsets[lane] + row]), meets))
    return candidates


def _side_of(relative: float) -> str | None:
    """Where somebody comes from whose heading is `relative` [rad] left of the ego's; None for about the ego's own."""
    if abs(relative) < 0.5:
        return None
    if abs(relative) > 2.4:
        return "opposite"
    return "left" if relative < 0.0 else "right"


def check_free(
    scenario: Scenario, cast: Cast, actors: Actors, ego: EgoState, shape: VehicleShape, standing: Tracks
) -> None:
    """Raises ScenarioError where an actor starts inside the ego, another actor or something that stands there."""
    size = cast.bodies.size
    xyz = np.stack([actors.position.real, actors.position.imag, 0.5 * size[:, 2]], axis=-1)
    boxes = box_footprints(xyz, size, np.angle(actors.direction))
    others = [("the ego", ego_footprint(ego, shape))]
    near = np.flatnonzero(np.abs(standing.position[:, :2] - ego.xy).max(axis=1, initial=0.0) < 150.0)
    feet = box_footprints(standing.position[near], standing.size[near], standing.yaw[near])
    others += [("something that stands there", foot) for foot in feet]
    for row, actor in enumerate(scenario.actors):
        if not actor.present:
            continue
        for name, box in others:
            if np.abs(box[0] - boxes[row, 0]).max() < 20.0 and bool(rectangles_overlap(box, boxes[row])):
                raise ScenarioError(
                    f"{scenario.file}:{actor.line}: actors.{actor.name}: found a start inside {name} (variant "
                    f"{scenario.variant}), accepted a free place"
                )
        others.append((actor.name, boxes[row]))
