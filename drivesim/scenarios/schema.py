"""What a scenario is. Places are given along the reference line: the ego's route as it is at the start, with `at` [m]
from the ego's rear axle and `offset` [m] positive to the left."""

from __future__ import annotations

from dataclasses import dataclass, field

SKILLS = (
    "emergency_brake", "give_way", "merging", "overtaking", "stationary", "frontal", "side", "robustness", "other",
)  # fmt: skip
PLACES = ("straight", "bend", "junction", "roundabout")
TURNS = ("straight", "left", "right")
PRIORITIES = ("gives_way", "has_priority")
LANES = ("ego", "left", "right", "oncoming")
PATHS = ("along", "against", "across", "crossing", "points")
SIDES = ("left", "right", "opposite")
MEASURES = ("bodies", "centres", "along", "across")
FAULTS = ("drop", "freeze", "noise", "delay", "calibration")


@dataclass(frozen=True)
class Place:
    """The kind of place in the town where the ego starts; the `pick`-th that fits is taken."""

    kind: str
    length: float = 60.0  # [m] that is straight or bends, from the start
    junctions: bool = True  # whether a straight stretch may lead through junctions
    at: float = 40.0  # [m] from the start to the junction
    turn: str | None = None
    priority: str | None = None
    lanes: int | None = None  # in the ego's direction
    lane: str | None = None  # "left" or "right": the ego's among them
    oncoming: bool | None = None  # whether a lane of the other direction lies beside the ego's
    parked: bool | None = None  # whether something is parked beside the first `length` or `at` metres
    pick: int = 0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class EgoStart:
    """How the ego starts."""

    speed: float  # [m/s]
    offset: float = 0.0  # [m]


@dataclass(frozen=True)
class Actor:
    """One scripted road user or object."""

    name: str
    class_name: str
    path: str  # one of PATHS
    at: float = 0.0  # [m] along the reference line: start, or where an `across` path crosses it
    lane: str = "ego"
    offset: float = 0.0  # [m], from the lane's middle; `across`: side from which it comes
    side: str = "left"  # `crossing`: where it comes from
    turn: str = "straight"  # `crossing`: what it does in the junction
    before: float = 0.0  # [m], `crossing` and `across`: from the start to the point where it meets the ego's way
    points: tuple[tuple[float, float], ...] = ()  # `points`: its way, (at, offset) [m] from the start on
    turned: float = 0.0  # [rad] that the body points left of its path
    speed: float = 0.0  # [m/s]
    reacts: bool = False  # keeps its distance by IDM; otherwise it is blind
    size: tuple[float, float, float] | None = None  # (width, length, height) [m]
    present: bool = True  # from the start on
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Condition:
    """Something measured that must be at least (`above`) or at most `bound`. Entities are actors, None is the ego."""

    kind: str  # one of triggers.KINDS
    bound: float
    above: bool = True
    equals: float | None = None  # then the difference from this value is what is measured
    of: str | None = None
    to: str | None = None  # the other one of two
    measured: str = "bodies"  # of distances and headways: one of MEASURES
    at: float = float("nan")  # [m] along the reference line
    offset: float = 0.0  # [m]
    meets: str | None = None  # `arrives`: the place where this actor's path meets the ego's way, instead of `at`
    event: str | None = None  # `after`: an event
    edge: bool = False  # whether it must have been otherwise before


@dataclass(frozen=True)
class When:
    """Alternatives, one of which must hold; each holds when all of its conditions do."""

    alternatives: tuple[tuple[Condition, ...], ...]


@dataclass(frozen=True)
class CameraFault:
    """What goes wrong with some cameras. An empty tuple of cameras means all."""

    kind: str  # one of FAULTS
    cameras: tuple[str, ...] = ()
    seconds: float = float("inf")
    strength: float = 0.0  # noise: standard deviation of grey values; delay: [s]; calibration: [rad] of yaw error


@dataclass(frozen=True)
class KeepDistance:
    """A place that an actor keeps to along the reference line, in relation to another."""

    to: str | None  # actor; None is the ego
    gap: float = 0.0  # [m] between the bodies that it stays behind (or ahead, where `ahead`)
    seconds: float = 0.0  # [s] of its own speed in addition
    ahead: bool = False


@dataclass(frozen=True)
class Action:
    """What an event does. None where it changes nothing."""

    actor: str | None = None
    speed: float | None = None  # [m/s] wanted from now on
    speed_like: str | None = None  # or `speed` times (`times`) or more than the speed of an actor or "ego" then
    times: bool = False
    rate: float = 3.0  # [m/s^2] at most towards it
    speed_over: float | None = None  # [s] that reaching it takes, instead of `rate`
    speed_within: float | None = None  # [m] likewise
    keep: KeepDistance | None = None
    lane: str | None = None
    offset: float | None = None  # [m] from the middle of `lane`
    over: float = 2.0  # [s] that the move across takes
    over_metres: float | None = None  # [m] driven meanwhile, instead of `over`
    reacts: bool | None = None
    door: float | None = None  # [m] that a door swings out
    door_side: str = "left"
    appear: bool = False
    vanish: bool = False
    weather: str | None = None
    time_of_day: str | None = None
    fault: CameraFault | None = None
    finish: bool = False  # ends the scenario


@dataclass(frozen=True)
class Event:
    """Something that happens once, as soon as its conditions hold."""

    name: str
    when: When
    action: Action
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Success:
    """What counts as having mastered the scenario. Leaving the road always fails it."""

    reach: float | None  # [m] along the reference line; None: whoever lasts to the end has mastered it
    within: float  # [s]
    max_impact_speed: float = 0.0  # [m/s]; 0: no collision at all
    max_offset: float = float("inf")  # [m] from the reference line
    max_speed: float = float("inf")  # [m/s]
    clearance: tuple[tuple[str, float], ...] = ()  # (actor, least distance between the bodies [m])
    passed_by: tuple[str, ...] = ()  # actors that must be ahead of the ego at the end


@dataclass(frozen=True)
class Scenario:
    """A scenario with its jitter drawn."""

    name: str
    file: str
    variant: int
    title: str
    skill: str
    difficulty: int
    town: int
    place: Place
    ego: EgoStart
    success: Success
    duration: float  # [s]
    traffic: int = 0  # road users of the background
    weather: str | None = None
    time_of_day: str | None = None
    actors: tuple[Actor, ...] = ()
    events: tuple[Event, ...] = ()
