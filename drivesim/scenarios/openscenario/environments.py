"""Weather and time of day as the town has them."""

from __future__ import annotations

import math
from datetime import datetime

from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT

_COVERED = {
    "free": "sunny", "zeroOktas": "sunny", "oneOktas": "sunny", "twoOktas": "sunny", "threeOktas": "sunny",
    "fourOktas": "sunny", "skyOff": None, "cloudy": "overcast", "overcast": "overcast", "rainy": "rain",
    "fiveOktas": "overcast", "sixOktas": "overcast", "sevenOktas": "overcast", "eightOktas": "overcast",
    "nineOktas": "overcast",
}  # fmt: skip
_CLEAR = 1000.0  # [m] of sight from which fog is none
_DUSK = (math.radians(-6.0), math.radians(4.0))  # elevations of the sun (civil twilight)


def read_environment(action: Element, catalogs: Catalogs) -> dict[str, str]:
    """`weather` and `time_of_day` of an EnvironmentAction, as far as it gives them."""
    environment = action.only("an Environment or CatalogReference")
    if environment.tag == "CatalogReference":
        entry = catalogs.entry(environment)
        if entry is None:
            environment.leave_out("the catalog is not at hand")
            return {}
        environment = entry
    environment.mark("name")
    declarations = environment.get("ParameterDeclarations")
    if declarations is not None:
        declarations.pass_over()
    weather = environment.get("Weather")
    found = {} if weather is None else _weather(weather)
    clock = environment.get("TimeOfDay")
    if clock is not None:
        _clock(clock, found)
    condition = environment.get("RoadCondition")
    if condition is not None:
        if condition.number("frictionScaleFactor", 1.0) != 1.0:
            condition.find(LEFT_OUT, "the friction of the road is always the same")
        condition.pass_over()
    return found


def _weather(weather: Element) -> dict[str, str]:
    state = weather.text("cloudState", "") or weather.text("fractionalCloudCover", "")
    known = _COVERED.get(state)
    if state and state not in _COVERED:
        weather.find(LEFT_OUT, f"clouds {state!r} are not known")
    found = {} if known is None else {"weather": known}
    weather.mark("atmosphericPressure", "temperature")
    fall = weather.get("Precipitation")
    if fall is not None:
        kind = fall.text("precipitationType", "dry")
        amount = fall.number("precipitationIntensity", 0.0) or fall.number("intensity", 0.0)
        if kind != "dry" and amount > 0.0:
            found["weather"] = "rain"
            if kind != "rain":
                fall.find(APPROXIMATED, f"{kind} is played as rain")
    fog = weather.get("Fog")
    if fog is not None:
        if fog.number("visualRange", math.inf) < _CLEAR:
            fog.find(LEFT_OUT, "there is no fog")
        fog.pass_over()
    sun = weather.get("Sun")
    if sun is not None:
        sun.mark("intensity", "azimuth", "illuminance")
        elevation = sun.number("elevation", 1.0)
        if elevation < _DUSK[1]:
            found["time_of_day"] = "night" if elevation < _DUSK[0] else "dusk"
    return found


def _clock(clock: Element, found: dict[str, str]) -> None:
    """The hour decides where the sun does not say that it is down."""
    text = clock.text("dateTime")
    try:
        hour = datetime.fromisoformat(text.replace("Z", "+00:00")).hour
    except ValueError:
        raise clock.error(repr(text[:60]), "a date and time like 2020-03-20T12:00:00", "dateTime") from None
    daylight = "day" if 7 <= hour < 19 else "dusk" if hour in (5, 6, 19, 20) else "night"
    if found.get("time_of_day", "day") == "day":
        found["time_of_day"] = daylight
    if clock.flag("animation", False):
        clock.find(APPROXIMATED, "the time of day stands still")
