"""Published driving scores under their own names, from the metrics of one recorded drive.

A term that the drive has no data for is left out of the score and named; the weights of the others are kept in
proportion. Scores that are published as the mean over plans of 4 s are taken over the 4 s that were driven from every
half second on, cut off where the drive ends: what was driven stands in for what was planned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.collisions import impact_speed, no_at_fault_collision, no_collision
from drivesim.metrics.comfort import comfort
from drivesim.metrics.drivable_area import corners_in_drivable_area, drivable_area_compliance
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.driving_direction import driving_direction_compliance
from drivesim.metrics.lane_keeping import lane_keeping, lane_kept
from drivesim.metrics.metric import UNKNOWN, Metric
from drivesim.metrics.progress import (
    ego_is_making_progress,
    ego_progress_along_expert_route,
    navsim_ego_progress,
    route_completion,
)
from drivesim.metrics.speed_limit import speed_limit_compliance
from drivesim.metrics.time_to_collision import no_collision_ahead, time_to_collision_within_bound

PLAN_SECONDS, PLAN_EVERY = 4.0, 0.5  # [s]
CLS_NAMES = {"idm": "nuPlan CLS-R", "log": "nuPlan CLS-NR"}


@dataclass(frozen=True, eq=False)
class Reference:
    """What a drive is compared with. Raises ValueError for lengths and speeds that are not positive, and for a human of
    whom only the progress is known.

    `expert` is a drive of somebody else from the same start on the same route, or how far [m] somebody came there who
    broke no rule.
    """

    expert: DriveLog | float | None = None
    expert_is_human: bool = False  # if so, EPDMS forgives what the human does wrong at the same time
    route_length: float | None = None  # [m] from the start to the goal
    impact_speed: float | None = None  # [m/s], NeuroNCAP's v_r: of the collision if nobody had acted

    def __post_init__(self) -> None:
        for name in ("expert", "route_length", "impact_speed"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, DriveLog) and not 0.0 < value < float("inf"):
                raise ValueError(f"Reference.{name}: found {value}, accepted a positive number, or None")
        if self.expert_is_human and not isinstance(self.expert, DriveLog):
            raise ValueError("Reference.expert_is_human: found True, accepted with an expert's DriveLog")


@dataclass(frozen=True)
class Aggregate:
    """A score made of terms; `omitted` names the terms that the drive has no data for."""

    name: str
    value: float
    valid: bool
    terms: Mapping[str, float]
    omitted: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name, with what it leaves out."""
        return f"{self.name} without {', '.join(self.omitted)}" if self.omitted else self.name


Terms = Mapping[str, NDArray[np.float64] | None]  # per plan [W], or None where unknown


def plans(log: DriveLog) -> list[slice]:
    """Steps of the W stretches of PLAN_SECONDS, one from every PLAN_EVERY on, that stand in for plans."""
    starts = np.arange(0.0, max(log.time[-1] - log.time[0], 1e-9), PLAN_EVERY) + log.time[0] - 1e-6
    first = np.searchsorted(log.time, starts)
    last = np.searchsorted(log.time, starts + PLAN_SECONDS + 2e-6)
    return [slice(int(begin), int(end)) for begin, end in zip(first, last)]


def _lowest(metric: Metric, stretches: list[slice]) -> NDArray[np.float64] | None:
    """The lowest value of a series within each stretch [W]."""
    series = metric.series
    return np.array([series[part].min() for part in stretches]) if metric.valid and series is not None else None


def _even(metric: Metric, stretches: list[slice]) -> NDArray[np.float64] | None:
    """A value that holds for the whole drive, for each stretch [W]."""
    return np.full(len(stretches), metric.value) if metric.valid else None


def _combine(name: str, multipliers: Terms, weighted: Terms, weights: Mapping[str, float], factor: Terms) -> Aggregate:
    """mean over plans of (product of the multipliers x weighted mean of the weighted terms), times the factors."""
    terms = {**multipliers, **weighted, **factor}
    present = {key: value for key, value in terms.items() if value is not None}
    total = sum(weights[key] for key in weighted if key in present)
    omitted = tuple(key for key in terms if key not in present)
    means = {key: float(value.mean()) for key, value in present.items()}
    if not total:
        return Aggregate(name, float("nan"), False, means, omitted)
    mean = sum(weights[key] * present[key] for key in weighted if key in present) / total
    product = np.prod([present[key] for key in multipliers if key in present] or [np.ones(1)], axis=0)
    value = float((product * mean).mean()) * float(np.prod([means[key] for key in factor if key in present]))
    return Aggregate(name, value, True, means, omitted)


def nuplan_cls(log: DriveLog, reference: Reference) -> Aggregate:
    """nuPlan's closed-loop score (devkit e924167): NC DAC MP DDC (5 EP + 5 TTC + 4 speed + 2 comfort) / 16.

    CLS-R where the others react to the ego, CLS-NR where they replay a log.
    """
    values = {
        "no_at_fault_collision": no_at_fault_collision(log),
        "drivable_area_compliance": drivable_area_compliance(log),
        "ego_is_making_progress": ego_is_making_progress(log, reference.expert),
        "driving_direction_compliance": driving_direction_compliance(log),
    }
    weighted = {
        "ego_progress_along_expert_route": (ego_progress_along_expert_route(log, reference.expert), 5.0),
        "time_to_collision_within_bound": (time_to_collision_within_bound(log), 5.0),
        "speed_limit_compliance": (speed_limit_compliance(log), 4.0),
        "comfort": (comfort(log), 2.0),
    }
    whole = [slice(0, len(log))]
    return _combine(
        CLS_NAMES.get(log.traffic, "nuPlan CLS"),
        {name: _even(metric, whole) for name, metric in values.items()},
        {name: _even(metric, whole) for name, (metric, _) in weighted.items()},
        {name: weight for name, (_, weight) in weighted.items()},
        {},
    )


def navsim_pdms(log: DriveLog, reference: Reference) -> Aggregate:
    """NAVSIM v1's PDM score (Dauner et al. 2024, devkit v1.1): NC DAC (5 EP + 5 TTC + 2 C) / 12, mean over plans.

    EP is that of the whole drive: the expert has driven it from the same start, not from every plan's.
    """
    return _pdms("NAVSIM PDMS", log, reference, no_at_fault_collision, time_to_collision_within_bound, {})


def drivearena_ads(log: DriveLog, reference: Reference) -> Aggregate:
    """DriveArena's driving score (Yang et al. 2024, arXiv 2408.00415): mean PDMS x route completion.

    Its PDMS knows no fault, and looks for collisions 0.5 s and 1 s ahead.
    """
    completion = _even(route_completion(log, reference.route_length), [slice(0)])
    return _pdms("DriveArena ADS", log, reference, no_collision, no_collision_ahead, {"route_completion": completion})


def hugsim_hd_score(log: DriveLog, reference: Reference) -> Aggregate:
    """HUGSIM's HD-Score (Zhou et al. 2024, arXiv 2412.01718): mean of NC DAC (5 TTC + 2 C) / 7, x route completion."""
    stretches = plans(log)
    return _combine(
        "HUGSIM HD-Score",
        {"no_collision": _lowest(no_collision(log), stretches),
         "drivable_area_compliance": _lowest(corners_in_drivable_area(log), stretches)},
        {"time_to_collision": _lowest(no_collision_ahead(log), stretches), "comfort": _lowest(comfort(log), stretches)},
        {"time_to_collision": 5.0, "comfort": 2.0},
        {"route_completion": _even(route_completion(log, reference.route_length), [slice(0)])},
    )  # fmt: skip


def _pdms(
    name: str,
    log: DriveLog,
    reference: Reference,
    collision: Callable[[DriveLog], Metric],
    ahead: Callable[[DriveLog], Metric],
    factor: Terms,
) -> Aggregate:
    stretches = plans(log)
    return _combine(
        name,
        {collision.__name__: _lowest(collision(log), stretches),
         "drivable_area_compliance": _lowest(corners_in_drivable_area(log), stretches)},
        {"ego_progress": _even(navsim_progress(log, reference), stretches),
         "time_to_collision": _lowest(ahead(log), stretches), "comfort": _lowest(comfort(log), stretches)},
        {"ego_progress": 5.0, "time_to_collision": 5.0, "comfort": 2.0},
        factor,
    )  # fmt: skip


def navsim_progress(log: DriveLog, reference: Reference) -> Metric:
    """NAVSIM's ego progress; the expert's counts only as far as it keeps the multiplying rules."""
    expert = reference.expert
    if expert is None:
        return UNKNOWN
    if not isinstance(expert, DriveLog):
        return navsim_ego_progress(log, expert)
    rules = [
        metric.value for metric in (no_at_fault_collision(expert), corners_in_drivable_area(expert)) if metric.valid
    ]
    return navsim_ego_progress(log, expert, float(np.prod(rules)))


def navsim_epdms(log: DriveLog, reference: Reference) -> Aggregate:
    """NAVSIM v2's extended PDM score (Cao et al. 2025, devkit 0a380a9), one stage, mean over plans:
    NC DAC DDC TLC (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16, a term that the human fails at the same time counting as 1.

    No traffic lights have states here, and a drive holds no successive plans to compare: TLC and EC are left out.
    """
    multipliers, weighted = _epdms_terms(log)
    if isinstance(reference.expert, DriveLog) and reference.expert_is_human:
        forgiven = {key: value for part in _epdms_terms(reference.expert) for key, value in part.items()}
        multipliers, weighted = _forgive(multipliers, forgiven), _forgive(weighted, forgiven)
    weights = {"ego_progress": 5.0, "time_to_collision": 5.0, "lane_keeping": 2.0, "history_comfort": 2.0,
               "extended_comfort": 2.0}  # fmt: skip
    progress = _even(navsim_progress(log, reference), plans(log))
    return _combine(
        "NAVSIM EPDMS",
        multipliers | {"traffic_light_compliance": None},
        {"ego_progress": progress} | weighted | {"extended_comfort": None},
        weights,
        {},
    )


def _epdms_terms(log: DriveLog) -> tuple[dict[str, NDArray | None], dict[str, NDArray | None]]:
    """Terms of all plans that a human may fail too: those that multiply and those that are weighted."""
    stretches = plans(log)
    kept = np.array([lane_kept(log, part) for part in stretches], np.float64) if lane_keeping(log).valid else None
    return (
        {"no_at_fault_collision": _lowest(no_at_fault_collision(log), stretches),
         "drivable_area_compliance": _lowest(corners_in_drivable_area(log), stretches),
         "driving_direction_compliance": _lowest(driving_direction_compliance(log), stretches)},
        {"time_to_collision": _lowest(time_to_collision_within_bound(log), stretches), "lane_keeping": kept,
         "history_comfort": _lowest(comfort(log), stretches)},
    )  # fmt: skip


def _forgive(terms: Terms, human: Terms) -> dict[str, NDArray | None]:
    """The terms with 1 wherever the human's plan of the same time fails; both may have driven for different times."""
    forgiven = dict(terms)
    for key, value in terms.items():
        other = human[key]
        if value is not None and other is not None:
            shared = min(len(value), len(other))
            forgiven[key] = np.where(np.append(other[:shared] == 0.0, np.zeros(len(value) - shared, bool)), 1.0, value)
    return forgiven


def neuroncap(log: DriveLog, reference: Reference) -> Aggregate:
    """NeuroNCAP's score (Ljungbergh et al. 2024, arXiv 2404.07762): 5 without collision, else 4 max(0, 1 - v_i / v_r).

    v_r is the impact speed of a drive in which nobody acts; without it a collision cannot be scored.
    """
    name = "NeuroNCAP score"
    if no_collision(log).value:
        return Aggregate(name, 5.0, True, {})
    speed = impact_speed(log)
    found = {"impact_speed": speed.value if speed.valid else None, "reference_impact_speed": reference.impact_speed}
    terms = {key: value for key, value in found.items() if value is not None}
    if len(terms) < len(found):
        return Aggregate(name, float("nan"), False, terms, tuple(key for key in found if key not in terms))
    share = terms["impact_speed"] / terms["reference_impact_speed"]
    return Aggregate(name, 4.0 * max(0.0, 1.0 - share), True, terms)
