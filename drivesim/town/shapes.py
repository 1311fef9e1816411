"""Shapes of the ten object classes in the unit box (x forward, y left, z up, -0.5 .. 0.5), three levels of detail."""

from __future__ import annotations

from collections.abc import Callable

from drivesim.town.mesh import GLASS, HEADLIGHT, TAILLIGHT, Mesh, block, column, frustum, merge, plate, wheel

NEAR, MIDDLE, DISTANT = range(3)  # levels of detail
GLASS_COLOR = (0.13, 0.15, 0.18)
DARK = (0.09, 0.09, 0.10)
RUBBER = (0.06, 0.06, 0.07)
GREY = (0.45, 0.46, 0.48)
SKIN = (0.80, 0.62, 0.50)
TROUSERS = (0.16, 0.17, 0.24)
HEAD_COLOR, TAIL_COLOR = (0.92, 0.92, 0.88), (0.62, 0.06, 0.06)


def shape_of(name: str, detail: int) -> Mesh:
    """Shape of an object class at a level of detail (NEAR, MIDDLE or DISTANT)."""
    return merge(DISTANT_SHAPES[name]() if detail == DISTANT else SHAPES[name](detail == NEAR))


def _wheels(
    axles: tuple[float, ...], radius: tuple[float, float], detailed: bool, thickness: float = 0.12
) -> list[Mesh]:
    """Wheels on both sides at x = axles; one dark block where not detailed."""
    z = -0.5 + radius[1]
    if not detailed:
        return [block((min(axles) - radius[0], max(axles) + radius[0]), (-0.44, 0.44), (-0.5, z), RUBBER)]
    sides = ((-0.5 + thickness, -0.5), (0.5 - thickness, 0.5))
    return [wheel(x, y, z, radius) for x in axles for y in sides]


def _lights(z: tuple[float, float], width: float = 0.13) -> list[Mesh]:
    """Pairs of head and tail lights on the front and rear ends of the box."""
    spans = ((-0.46, -0.46 + width), (0.46 - width, 0.46))
    front = [plate(0.5, y, z, HEAD_COLOR, HEADLIGHT) for y in spans]
    return front + [plate(-0.5, y[::-1], z, TAIL_COLOR, TAILLIGHT) for y in spans]


def _car(detailed: bool) -> list[Mesh]:
    lower = frustum((-0.49, 0.49, -0.47, 0.47), (-0.495, 0.495, -0.5, 0.5), (-0.36, -0.12), own=1.15, top=False)
    upper = frustum((-0.495, 0.495, -0.5, 0.5), (-0.47, 0.46, -0.46, 0.46), (-0.12, 0.10), own=1.2)
    windows = frustum(
        (-0.45, 0.24, -0.44, 0.44), (-0.32, 0.06, -0.37, 0.37), (0.10, 0.42), GLASS_COLOR, material=GLASS, top=False
    )
    roof = frustum((-0.33, 0.07, -0.38, 0.38), (-0.30, 0.04, -0.35, 0.35), (0.41, 0.5), own=1.2)
    bumpers = [block((-0.5, 0.5), (-0.42, 0.42), (-0.36, -0.26), DARK)] if detailed else []
    return [
        lower,
        upper,
        windows,
        roof,
        *bumpers,
        *_lights((-0.12, -0.02)),
        *_wheels((-0.30, 0.31), (0.074, 0.21), detailed),
    ]


def _truck(detailed: bool) -> list[Mesh]:
    cab = frustum((0.20, 0.49, -0.46, 0.46), (0.22, 0.46, -0.44, 0.44), (-0.34, 0.28), own=1.0)
    windscreen = frustum(
        (0.24, 0.487, -0.462, 0.462), (0.25, 0.472, -0.452, 0.452), (0.0, 0.22), GLASS_COLOR, material=GLASS
    )
    cargo = block((-0.49, 0.18), (-0.5, 0.5), (-0.26, 0.5), (0.14, 0.14, 0.14), own=0.85)
    frame = block((-0.49, 0.48), (-0.38, 0.38), (-0.40, -0.26), DARK)
    return [
        cab,
        windscreen,
        cargo,
        frame,
        *_lights((-0.30, -0.22)),
        *_wheels((-0.36, -0.22, 0.33), (0.065, 0.15), detailed),
    ]


def _bus(detailed: bool) -> list[Mesh]:
    lower = block((-0.49, 0.49), (-0.5, 0.5), (-0.40, 0.02), own=1.15)
    windows = block((-0.495, 0.495), (-0.49, 0.49), (0.02, 0.30), GLASS_COLOR, material=GLASS)
    roof = block((-0.49, 0.49), (-0.5, 0.5), (0.30, 0.5), own=1.15)
    return [lower, windows, roof, *_lights((-0.28, -0.20)), *_wheels((-0.28, 0.32), (0.045, 0.155), detailed)]


def _construction_vehicle(detailed: bool) -> list[Mesh]:
    tracks = [block((-0.48, 0.22), y, (-0.5, -0.26), RUBBER) for y in ((-0.5, -0.28), (0.28, 0.5))]
    body = block((-0.5, 0.18), (-0.44, 0.44), (-0.26, 0.08), own=1.0)
    cabin = frustum(
        (-0.14, 0.16, -0.4, 0.08), (-0.12, 0.12, -0.38, 0.06), (0.08, 0.44), GLASS_COLOR, material=GLASS, top=False
    )
    roof = block((-0.15, 0.15), (-0.42, 0.1), (0.44, 0.5), own=0.9)
    boom = frustum((0.14, 0.26, 0.14, 0.3), (0.30, 0.40, 0.14, 0.3), (-0.2, 0.46), own=1.0)
    stick = frustum((0.40, 0.46, 0.14, 0.3), (0.30, 0.40, 0.14, 0.3), (-0.34, 0.46), own=0.9)
    bucket = frustum((0.34, 0.48, 0.0, 0.44), (0.36, 0.5, 0.04, 0.4), (-0.5, -0.3), DARK)
    return [*tracks, body, cabin, roof, boom, stick, bucket]


def _trailer(detailed: bool) -> list[Mesh]:
    box = block((-0.49, 0.5), (-0.5, 0.5), (-0.24, 0.5), own=1.0)
    frame = block((-0.48, 0.48), (-0.36, 0.36), (-0.36, -0.24), DARK)
    return [box, frame, *_lights((-0.34, -0.28))[2:], *_wheels((-0.40, -0.29, -0.18), (0.048, 0.14), detailed)]


def _rider(own: float, seat: float, lean: float) -> list[Mesh]:
    """Somebody who sits at height `seat` and leans forward."""
    legs = frustum((-0.14, 0.10, -0.34, 0.34), (-0.16, 0.02, -0.30, 0.30), (seat - 0.26, seat + 0.04), TROUSERS)
    torso = frustum((-0.16, 0.0, -0.36, 0.36), (-0.12 + lean, 0.04 + lean, -0.44, 0.44), (seat, 0.34), own=own)
    arms = frustum((0.06, 0.26, -0.46, 0.46), (-0.02, 0.1, -0.46, 0.46), (0.1, 0.26), own=own)
    head = column((lean, 0.0), (0.07, 0.2), (0.06, 0.16), (0.34, 0.5), 6, SKIN)
    return [legs, torso, arms, head]


def _two_wheeler(radius: tuple[float, float], own: float, frame_z: tuple[float, float], thick: float) -> list[Mesh]:
    hubs = [wheel(x, (-thick, thick), -0.5 + radius[1], radius, RUBBER) for x in (-0.5 + radius[0], 0.5 - radius[0])]
    frame = frustum((-0.34, 0.32, -thick, thick), (-0.30, 0.24, -1.4 * thick, 1.4 * thick), frame_z, DARK, own=own)
    return [*hubs, frame, block((0.22, 0.28), (-0.5, 0.5), (0.08, 0.14), DARK)]


def _motorcycle(detailed: bool) -> list[Mesh]:
    return _two_wheeler((0.15, 0.20), 0.85, (-0.28, 0.02), 0.14) + _rider(0.9, 0.0, 0.06)


def _bicycle(detailed: bool) -> list[Mesh]:
    return _two_wheeler((0.19, 0.19), 0.3, (-0.26, -0.16), 0.06) + _rider(1.0, 0.0, 0.1)


def _pedestrian(detailed: bool) -> list[Mesh]:
    strides = ((0.12, (-0.3, -0.03)), (-0.02, (0.03, 0.3)))
    legs = [frustum((-0.2 + dx, 0.1 + dx, *y), (-0.16, 0.16, *y), (-0.5, -0.02), TROUSERS) for dx, y in strides]
    torso = frustum((-0.2, 0.2, -0.34, 0.34), (-0.24, 0.24, -0.42, 0.42), (-0.06, 0.33), own=1.0)
    arms = [frustum((-0.16, 0.16, *y), (-0.14, 0.14, *y), (-0.04, 0.3), own=0.85) for y in ((-0.5, -0.42), (0.42, 0.5))]
    head = column((0.03, 0.0), (0.2, 0.18), (0.17, 0.15), (0.34, 0.5), 6, SKIN)
    return [*legs, torso, *arms, head]


def _barrier(detailed: bool) -> list[Mesh]:
    foot = block((-0.5, 0.5), (-0.48, 0.48), (-0.5, -0.38), (0.75, 0.75, 0.73))
    wall = frustum((-0.4, 0.4, -0.5, 0.5), (-0.2, 0.2, -0.5, 0.5), (-0.38, 0.5), own=1.0)
    bands = [
        frustum((-0.36, 0.36, *y), (-0.24, 0.24, *y), (-0.1, 0.3), (0.9, 0.9, 0.88))
        for y in ((-0.32, -0.14), (0.14, 0.32))
    ]
    return [foot, wall, *bands]


def _traffic_cone(detailed: bool) -> list[Mesh]:
    corners = 8 if detailed else 5
    foot = block((-0.5, 0.5), (-0.5, 0.5), (-0.5, -0.42), own=0.6)
    low = column((0.0, 0.0), (0.38, 0.38), (0.25, 0.25), (-0.42, -0.05), corners, own=1.0)
    band = column((0.0, 0.0), (0.25, 0.25), (0.16, 0.16), (-0.05, 0.22), corners, (0.92, 0.92, 0.90))
    tip = column((0.0, 0.0), (0.16, 0.16), (0.07, 0.07), (0.22, 0.5), corners, own=1.0)
    return [foot, low, band, tip]


def _distant_car() -> list[Mesh]:
    body = frustum((-0.5, 0.5, -0.5, 0.5), (-0.48, 0.47, -0.47, 0.47), (-0.40, 0.10), own=1.15)
    cabin = frustum((-0.45, 0.24, -0.44, 0.44), (-0.30, 0.06, -0.37, 0.37), (0.08, 0.5), (0.08, 0.09, 0.10), own=0.3)
    return [body, cabin, *_lights((-0.12, -0.02))]


def _distant_body() -> list[Mesh]:
    return [block((-0.5, 0.5), (-0.5, 0.5), (-0.38, 0.5), (0.03, 0.03, 0.04), own=0.85), *_lights((-0.30, -0.20))]


def _distant_person() -> list[Mesh]:
    legs = block((-0.25, 0.25), (-0.3, 0.3), (-0.5, -0.05), TROUSERS)
    upper = frustum((-0.2, 0.2, -0.42, 0.42), (-0.15, 0.15, -0.2, 0.2), (-0.05, 0.5), (0.1, 0.08, 0.06), own=0.85)
    return [legs, upper]


def _distant_rider() -> list[Mesh]:
    machine = block((-0.45, 0.45), (-0.1, 0.1), (-0.5, -0.1), DARK, own=0.2)
    rider = frustum((-0.18, 0.15, -0.4, 0.4), (-0.05, 0.12, -0.25, 0.25), (-0.15, 0.5), (0.1, 0.08, 0.06), own=0.85)
    return [machine, rider]


def _distant_block() -> list[Mesh]:
    return [frustum((-0.45, 0.45, -0.5, 0.5), (-0.25, 0.25, -0.42, 0.42), (-0.5, 0.5), (0.04, 0.04, 0.04), own=0.9)]


def _distant_cone() -> list[Mesh]:
    return [frustum((-0.42, 0.42, -0.42, 0.42), (-0.07, 0.07, -0.07, 0.07), (-0.5, 0.5), (0.06, 0.06, 0.06), own=0.95)]


SHAPES: dict[str, Callable[[bool], list[Mesh]]] = {
    "car": _car, "truck": _truck, "construction_vehicle": _construction_vehicle, "bus": _bus, "trailer": _trailer,
    "barrier": _barrier, "motorcycle": _motorcycle, "bicycle": _bicycle, "pedestrian": _pedestrian,
    "traffic_cone": _traffic_cone,
}  # fmt: skip
DISTANT_SHAPES: dict[str, Callable[[], list[Mesh]]] = {
    "car": _distant_car, "truck": _distant_body, "construction_vehicle": _distant_body, "bus": _distant_body,
    "trailer": _distant_body, "barrier": _distant_block, "motorcycle": _distant_rider, "bicycle": _distant_rider,
    "pedestrian": _distant_person, "traffic_cone": _distant_cone,
}  # fmt: skip
