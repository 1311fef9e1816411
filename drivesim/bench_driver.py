"""The driver of measurements: follows its route at 6 m/s and brakes for what comes in its way.

It takes no chances, so that drives are long, and looks at no pictures, so that all generators are measured on the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.observations import Observation
from drivesim.scene import Scene

SPEED, BRAKING = 6.0, 4.0  # [m/s], [m/s^2]
_INSTANTS = np.array([0.0, 1.0, 2.0])[:, None, None]  # [s] ahead, others at constant velocity
_MARGIN = 1.6  # [m] from the middle of the route to the side of whoever is in the way
_DISTANCE = 6.0  # [m] from the rear axle to the bumper, and to spare


def drive(observation: Observation, scene: Scene) -> NDArray[np.float32]:
    """Acceleration [m/s^2] and front wheel angle [rad] [2]: pure pursuit (Coulter 1992) and an emergency brake."""
    x, y = observation["route"][3].tolist()
    speed, wheelbase = float(observation["ego"][0]), float(observation["ego"][6])
    steering = np.arctan(2.0 * wheelbase * y / max(x * x + y * y, 1e-6))
    free = _free_way(scene, np.concatenate([np.zeros((1, 2)), observation["route"]]))
    stops = free < 0.5 * speed + speed * speed / 5.0
    pedal = -BRAKING if stops else min(max(SPEED - speed, -3.0), 2.0)
    return np.array([pedal, steering], np.float32)


def _free_way(scene: Scene, route: NDArray[np.float64]) -> float:
    """Distance [m] to the first body on the route [R, 2] (ego frame [m]) now or within two seconds."""
    tracks, rotation = scene.tracks, scene.ego.pose[:2, :2]
    place = (tracks.position[:, :2] - scene.ego.xy) @ rotation + _INSTANTS * (tracks.velocity @ rotation)  # [T, N, 2]
    aside = np.linalg.norm(place[:, :, None] - route, axis=-1).min(axis=-1)
    in_way = (aside < 0.5 * tracks.size[:, 0] + _MARGIN) & (place[..., 0] > 0.0)
    ahead = np.linalg.norm(place, axis=-1) - 0.5 * tracks.size[:, 1] - _DISTANCE
    return float(np.where(in_way, ahead, np.inf).min(initial=np.inf))
