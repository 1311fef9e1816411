"""All metrics and published scores of a recorded drive at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics import aggregates
from drivesim.metrics.aggregates import Aggregate, Reference
from drivesim.metrics.collisions import first_contacts, impact_speed, no_at_fault_collision, no_collision
from drivesim.metrics.comfort import COMFORT_LIMITS, comfort, comfort_terms
from drivesim.metrics.drivable_area import corners_in_drivable_area, drivable_area_compliance
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.driving_direction import driving_direction_compliance, progress_along_lanes
from drivesim.metrics.lane_keeping import lane_keeping
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import Metric
from drivesim.metrics.progress import (
    ego_is_making_progress,
    ego_progress_along_expert_route,
    route_completion,
    route_progress,
)
from drivesim.metrics.speed_limit import speed_limit, speed_limit_compliance
from drivesim.metrics.time_to_collision import (
    minimum_time_to_collision,
    time_to_collision,
    time_to_collision_within_bound,
)
from drivesim.scene import OBJECT_CLASSES

AGGREGATES: dict[str, Callable[[DriveLog, Reference], Aggregate]] = {
    "navsim_pdms": aggregates.navsim_pdms,
    "navsim_epdms": aggregates.navsim_epdms,
    "nuplan_cls": aggregates.nuplan_cls,
    "drivearena_ads": aggregates.drivearena_ads,
    "hugsim_hd_score": aggregates.hugsim_hd_score,
    "neuroncap": aggregates.neuroncap,
}


def metrics(log: DriveLog, reference: Reference | None = None) -> dict[str, Metric]:
    """Every metric of a drive by its name."""
    reference = reference or Reference()
    return {
        "no_at_fault_collision": no_at_fault_collision(log),
        "no_collision": no_collision(log),
        "impact_speed": impact_speed(log),
        "drivable_area_compliance": drivable_area_compliance(log),
        "corners_in_drivable_area": corners_in_drivable_area(log),
        "driving_direction_compliance": driving_direction_compliance(log),
        "time_to_collision_within_bound": time_to_collision_within_bound(log),
        "minimum_time_to_collision": minimum_time_to_collision(log),
        "comfort": comfort(log),
        "lane_keeping": lane_keeping(log),
        "speed_limit_compliance": speed_limit_compliance(log),
        "route_progress": route_progress(log),
        "route_completion": route_completion(log, reference.route_length),
        "ego_progress_along_expert_route": ego_progress_along_expert_route(log, reference.expert),
        "ego_is_making_progress": ego_is_making_progress(log, reference.expert),
        "mean_speed": Metric(float(log.speed.mean()), True, log.speed),
    }


def score(log: DriveLog, reference: Reference | None = None) -> dict[str, Any]:
    """All metrics, scores and collisions of a drive as plain values, fit for JSON; what is unknown is None.

    Keys: drive, metrics (value, valid), comfort_limits (value, lowest, highest), aggregates (name, title, value, valid,
    terms, omitted) and collisions. `reference` is what the drive is compared with.
    """
    reference = reference or Reference()
    return {
        "drive": {
            "seconds": float(log.time[-1] - log.time[0]), "steps": len(log) - 1, "ending": log.ending,
            "traffic": log.traffic, "seed": log.seed,
        },
        "metrics": {name: {"value": _number(metric.value, metric.valid), "valid": metric.valid}
                    for name, metric in metrics(log, reference).items()},
        "comfort_limits": {name: _limit(metric) for name, metric in comfort_terms(log).items()},
        "aggregates": {key: _plain(aggregate(log, reference)) for key, aggregate in AGGREGATES.items()},
        "collisions": _collisions(log),
    }  # fmt: skip


def time_lines(log: DriveLog) -> dict[str, NDArray[np.float64]]:
    """Curves [T] of a drive for a report, by name, over `time` [s]; NaN where unknown, infinite times to collision."""
    area = ego_area(log)
    curves = {
        "time": log.time, "speed": log.speed, "speed_limit": speed_limit(log), "steering": log.steering,
        "time_to_collision": time_to_collision(log),
        "off_road": np.where(area.known, area.corner_distance.max(1), np.nan),
        "progress_along_lanes": np.where(area.known, progress_along_lanes(log), np.nan),
    }  # fmt: skip
    optional = {"lane_offset": lane_keeping(log), "route_progress": route_progress(log)} | comfort_terms(log)
    unknown = np.full(len(log), np.nan)
    return curves | {name: unknown if curve.series is None else curve.series for name, curve in optional.items()}


def _number(value: float, valid: bool = True) -> float | None:
    return float(value) if valid and math.isfinite(value) else None


def _limit(metric: Metric) -> dict[str, float | None]:
    if metric.series is None:
        return {"value": None, "lowest": None, "highest": None}
    return {"value": metric.value, "lowest": float(metric.series.min()), "highest": float(metric.series.max())}


def _plain(aggregate: Aggregate) -> dict[str, Any]:
    return {
        "name": aggregate.name, "title": aggregate.title, "value": _number(aggregate.value, aggregate.valid),
        "valid": aggregate.valid, "terms": dict(aggregate.terms), "omitted": list(aggregate.omitted),
    }  # fmt: skip


def _collisions(log: DriveLog) -> list[dict[str, Any]]:
    found = first_contacts(log)
    return [
        {"step": int(found.step[k]), "time": float(log.time[found.step[k]]), "track_id": int(found.track_id[k]),
         "class_name": OBJECT_CLASSES[found.class_id[k]], "kind": str(found.kind[k]),
         "at_fault": bool(found.at_fault[k]), "relative_speed": _number(found.relative_speed[k])}
        for k in range(len(found))
    ]  # fmt: skip


__all__ = ["AGGREGATES", "COMFORT_LIMITS", "Reference", "metrics", "score", "time_lines"]
