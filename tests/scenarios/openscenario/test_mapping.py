"""Positions, actions and conditions, each against what the standard says it means in the ego's frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT, POLICY
from drivesim.scenarios.reader import scenario_of
from drivesim.scenarios.yaml_tree import tree_of
from tests.scenarios.openscenario.texts import AT_ONCE, AT_TWO, by_entity, by_value, imported, osc, speed, vehicle

AHEAD = 30.0 + 1.4  # of the other's middle
WORLD = '<WorldPosition x="0" y="0" h="1.5707963"/>'  # the ego looks along y


@pytest.mark.parametrize(
    ("ego", "other", "expected"),
    [
        ("", "", {"at": AHEAD, "lane": "ego"}),
        ("", '<LanePosition roadId="1" laneId="-1" s="90" offset="0.5"/>', {"at": -8.6, "lane": "left", "offset": 0.5}),
        ("", '<LanePosition roadId="1" laneId="-3" s="130"/>', {"at": AHEAD, "lane": "right"}),
        ("", '<LanePosition roadId="1" laneId="1" s="160"/>', {"at": 58.6, "lane": "oncoming", "path": "against"}),
        ("", '<RelativeLanePosition entityRef="Ego" dLane="1" ds="-20"/>', {"at": -18.6, "lane": "left"}),
        ("", '<RelativeRoadPosition entityRef="Ego" ds="30" dt="-3.5"/>', {"at": AHEAD, "lane": "right"}),
        ("", '<RelativeObjectPosition entityRef="Ego" dx="30" dy="1"/>', {"at": AHEAD, "lane": "ego", "offset": 1.0}),
        # An ego on the left of the reference line drives against it: ahead is where s is smaller.
        ('<LanePosition roadId="1" laneId="2" s="100"/>', '<LanePosition roadId="1" laneId="1" s="70"/>',
         {"at": AHEAD, "lane": "left"}),
        (WORLD, '<WorldPosition x="0" y="30" h="1.5707963"/>', {"at": AHEAD, "lane": "ego"}),
        (WORLD, '<WorldPosition x="-3.5" y="30" h="-1.5707963"/>',
         {"at": 28.6, "lane": "ego", "offset": 3.5, "path": "against"}),
    ],
)  # fmt: skip
def test_places_are_related_to_the_ego(ego: str, other: str, expected: dict[str, Any], tmp_path: Path) -> None:
    places = {"ego": ego} if ego else {}
    content, findings = imported(tmp_path, osc(**places, **({"other": other} if other else {})))
    actor = content["actors"]["other"]
    assert actor.pop("size") == [2.0, 4.5, 1.6]
    assert actor.pop("class") == "car" and actor.pop("speed") == 8.0
    assert actor == pytest.approx(expected)
    assert not findings
    assert content["ego"] == {"speed": 10.0}


def test_carla_files_have_y_to_the_right(tmp_path: Path) -> None:
    text = osc(ego='<WorldPosition x="0" y="0" h="0"/>', other='<WorldPosition x="30" y="3.5" h="0"/>')
    assert imported(tmp_path, text)[0]["actors"]["other"]["lane"] == "left"
    carla = text.replace('description="x"', 'description="CARLA:x"')
    assert imported(tmp_path, carla)[0]["actors"]["other"]["lane"] == "right"


def test_somebody_on_another_road_is_listed_and_what_waits_for_it_too(tmp_path: Path) -> None:
    content, findings = imported(tmp_path, osc(other='<LanePosition roadId="7" laneId="-1" s="5"/>'))
    assert "actors" not in content and "events" not in content
    assert [f.kind for f in findings] == [LEFT_OUT] * 3
    assert "road '7' is not the ego's, which starts on road '1'" in findings[1].text
    assert findings[1].line == 10
    assert findings[1].path.endswith("Private[Other]/PrivateAction/TeleportAction/Position/LanePosition")


def test_crossing_somebody_goes_straight_on_across_the_road(tmp_path: Path) -> None:
    content, _ = imported(tmp_path, osc(ego=WORLD, other='<WorldPosition x="10" y="40" h="3.14159265"/>'))
    other = content["actors"]["other"]
    assert other["path"] == "points"
    (x0, y0), (x1, y1) = other["points"]
    assert (x0, y0) == pytest.approx((40.0, -8.6))  # its middle is 1.4 m further on its way
    assert (x1 - x0, math.copysign(1.0, y1 - y0)) == pytest.approx((0.0, 1.0))


def test_the_place_has_the_lanes_that_somebody_takes(tmp_path: Path) -> None:
    third = '<Private entityRef="Third">{}</Private>'
    at = '<LanePosition roadId="1" laneId="{}" s="120"/>'
    for lanes, expected in (
        ((-1, -2), {"lanes": 2, "lane": "right"}),
        ((-3, -2), {"lanes": 2, "lane": "left"}),
        ((-1, -3), {"lanes": 3}),
        ((-2, 1), {"oncoming": True}),
    ):
        positions = [at.format(lane) for lane in lanes]
        place = third.format(
            f"<PrivateAction><TeleportAction><Position>{positions[1]}</Position></TeleportAction></PrivateAction>"
        )
        content, _ = imported(tmp_path, osc(other=positions[0], entities=vehicle("Third"), init=place))
        assert content["place"] == {"kind": "straight", "length": 60.0} | expected


def longitudinal(inner: str) -> str:
    return f"<PrivateAction><LongitudinalAction>{inner}</LongitudinalAction></PrivateAction>"


def lateral(inner: str) -> str:
    return f"<PrivateAction><LateralAction>{inner}</LateralAction></PrivateAction>"


def to_speed(shape: str, dimension: str, value: float, target: str = '<AbsoluteTargetSpeed value="3"/>') -> str:
    action = AT_ONCE.format(target).replace('"step"', f'"{shape}"')
    at_once = 'value="0" dynamicsDimension="time"'
    return longitudinal(action.replace(at_once, f'value="{value}" dynamicsDimension="{dimension}"'))


def lane_change(target: str, shape: str = "sinusoidal", dimension: str = "time", value: float = 3) -> str:
    return lateral(
        f'<LaneChangeAction><LaneChangeActionDynamics dynamicsShape="{shape}" value="{value}" '
        f'dynamicsDimension="{dimension}"/><LaneChangeTarget>{target}</LaneChangeTarget></LaneChangeAction>'
    )


def offset(target: str, most: str = 'maxLateralAcc="1"') -> str:
    return lateral(
        f'<LaneOffsetAction continuous="false"><LaneOffsetActionDynamics {most} dynamicsShape="sinusoidal"/>'
        f"<LaneOffsetTarget>{target}</LaneOffsetTarget></LaneOffsetAction>"
    )


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (speed(3), {"speed": 3.0, "rate": 1000.0}),
        (to_speed("linear", "rate", -2), {"speed": 3.0, "rate": 2.0}),
        (to_speed("linear", "time", 4), {"speed": 3.0, "speed_over": 4.0}),
        (to_speed("linear", "distance", 20), {"speed": 3.0, "speed_within": 20.0}),
        (to_speed("linear", "rate", 2, '<RelativeTargetSpeed entityRef="Ego" value="1.5" speedTargetValueType="factor" '
                  'continuous="false"/>'), {"speed_like": {"of": "ego", "times": 1.5}, "rate": 2.0}),
        (to_speed("linear", "rate", 2, '<RelativeTargetSpeed entityRef="Ego" value="-2" speedTargetValueType="delta" '
                  'continuous="false"/>'), {"speed_like": {"of": "ego", "plus": -2.0}, "rate": 2.0}),
        (lane_change('<AbsoluteTargetLane value="-1"/>'), {"lane": "left", "over": 3.0}),
        (lane_change('<AbsoluteTargetLane value="-3"/>', dimension="distance", value=25),
         {"lane": "right", "over_metres": 25.0}),
        (lane_change('<RelativeTargetLane entityRef="Ego" value="1"/>'), {"lane": "left", "over": 3.0}),
        (lane_change('<RelativeTargetLane entityRef="Other" value="-1"/>', dimension="rate", value=1.75),
         {"lane": "right", "over": 2.0}),
        # A move of 3u^2 - 2u^3 over T accelerates by 6 d / T^2 at most: T = sqrt(6).
        (offset('<AbsoluteTargetLaneOffset value="-1"/>'), {"lane": "ego", "offset": -1.0, "over": 2.449}),
        (longitudinal('<LongitudinalDistanceAction entityRef="Ego" distance="12" freespace="true" continuous="true" '
                      'displacement="trailingReferencedEntity"/>'), {"keep": {"to": "ego", "gap": 12.0}}),
        (longitudinal('<LongitudinalDistanceAction entityRef="Ego" timeGap="1.5" freespace="true" continuous="true" '
                      'displacement="leadingReferencedEntity"/>'),
         {"keep": {"to": "ego", "seconds": 1.5, "ahead": True}}),
        ('<PrivateAction><VisibilityAction graphics="false" sensors="false" traffic="false"/></PrivateAction>',
         {"vanish": True}),
        ('<GlobalAction><EntityAction entityRef="Other"><DeleteEntityAction/></EntityAction></GlobalAction>',
         {"vanish": True}),
    ],
)  # fmt: skip
def test_actions(action: str, expected: dict[str, Any], tmp_path: Path) -> None:
    content, findings = imported(tmp_path, osc(action=action))
    assert content["events"]["e"] == {"when": {"time": 2.0}, "do": {"actor": "other"} | expected}
    assert not findings
    scenario_of(tree_of(yaml_of(content), "made"), "made")


def yaml_of(content: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(content))


def polyline(*vertices: str, timed: bool = False) -> str:
    reference = '<Timing domainAbsoluteRelative="relative" scale="1" offset="0"/>' if timed else "<None/>"
    return (
        '<PrivateAction><RoutingAction><FollowTrajectoryAction><Trajectory name="t" closed="false"><Shape><Polyline>'
        f"{''.join(vertices)}</Polyline></Shape></Trajectory><TimeReference>{reference}</TimeReference>"
        '<TrajectoryFollowingMode followingMode="follow"/></FollowTrajectoryAction></RoutingAction></PrivateAction>'
    )


def vertex(position: str, time: float | None = None) -> str:
    return (
        f"<Vertex{'' if time is None else f' time={chr(34)}{time}{chr(34)}'}><Position>{position}</Position></Vertex>"
    )


def test_a_trajectory_is_the_way_from_the_start_on_at_its_own_times(tmp_path: Path) -> None:
    lane = '<LanePosition roadId="1" laneId="-2" s="{}" offset="{}"/>'
    places = [vertex(lane.format(130, 0), 0), vertex(lane.format(150, 0), 2), vertex(lane.format(170, -2), 7)]
    content, findings = imported(tmp_path, osc(action=polyline(*places, timed=True)))
    assert content["actors"]["other"]["points"] == [[AHEAD, 0.0], [50.0, 0.0], [70.0, -2.0]]
    events = content["events"]
    assert events["e"]["do"] == {"actor": "other", "speed": 10.0, "rate": 1000.0}
    second = events["e_2"]
    assert second["when"] == {"after": {"event": "e", "delay": 2.0}}
    assert second["do"]["speed"] == pytest.approx(math.hypot(20.0, 2.0) / 5.0, abs=1e-3)
    assert not findings


def test_a_trajectory_beside_wherever_somebody_is_becomes_a_move_across(tmp_path: Path) -> None:
    place = '<RelativeWorldPosition entityRef="Other" dx="{}" dy="{}"/>'
    action = polyline(vertex(place.format(0, 0), 0), vertex(place.format(30, 3.5), 2.5), timed=True)
    content, findings = imported(tmp_path, osc(action=action))
    do = {"actor": "other", "speed": 12.0, "rate": 1000.0, "lane": "ego", "offset": 3.5, "over": 2.5}
    assert content["events"]["e"]["do"] == do
    assert [finding.kind for finding in findings] == [APPROXIMATED]


PAIR = 'entityRef="Other" rule="{}" value="{}"'
EDGE = 'delay="0" conditionEdge="{}"'


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (by_entity(f'<TimeHeadwayCondition {PAIR.format("greaterThan", 2)} freespace="true"/>'),
         {"headway": {"actor": "other", "above": 2.0}}),
        (by_entity(f'<TimeHeadwayCondition {PAIR.format("lessThan", 2)} freespace="false"/>'),
         {"headway": [{"actor": "other", "measured": "centres", "below": 2.0},
                      {"actor": "other", "measured": "centres", "above": 0.0}]}),
        (by_entity('<TimeToCollisionCondition value="3" rule="lessThan" freespace="true">'
                   '<TimeToCollisionConditionTarget><EntityRef entityRef="Other"/></TimeToCollisionConditionTarget>'
                   '</TimeToCollisionCondition>'),
         {"time_to_collision": {"actor": "other", "below": 3.0}}),
        (by_entity(f'<RelativeDistanceCondition {PAIR.format("lessThan", 9)} relativeDistanceType="longitudinal" '
                   'freespace="false"/>'),
         {"distance": {"actor": "other", "measured": "along", "below": 9.0}}),
        (by_entity(f'<RelativeDistanceCondition {PAIR.format("greaterThan", 9)} relativeDistanceType='
                   '"euclidianDistance" freespace="true"/>'), {"distance": {"actor": "other", "above": 9.0}}),
        (by_entity('<TraveledDistanceCondition value="40"/>', "Other"), {"travelled": {"of": "other", "metres": 40.0}}),
        (by_entity('<StandStillCondition duration="2"/>'), {"standstill": {"seconds": 2.0}}),
        (by_entity('<SpeedCondition value="5" rule="lessThan"/>', "Other"), {"speed": {"of": "other", "below": 5.0}}),
        (by_entity('<SpeedCondition value="5" rule="equalTo"/>'), {"speed": {"equals": 5.0}}),
        (by_entity('<AccelerationCondition value="-3" rule="lessThan"/>'), {"acceleration": {"below": -3.0}}),
        (by_entity(f'<RelativeSpeedCondition {PAIR.format("greaterThan", 2)}/>'),
         {"relative_speed": {"actor": "other", "above": 2.0}}),
        (by_entity('<ReachPositionCondition tolerance="2"><Position><LanePosition roadId="1" laneId="-1" s="160"/>'
                   '</Position></ReachPositionCondition>'), {"near": {"at": 60.0, "within": 2.0, "offset": 3.5}}),
        (by_entity('<CollisionCondition><EntityRef entityRef="Other"/></CollisionCondition>'),
         {"distance": {"actor": "other", "below": 0.0}}),
        (by_entity('<SpeedCondition value="5" rule="lessThan"/>', attributes=EDGE.format("rising")),
         {"speed": {"below": 5.0, "edge": True}}),
        (by_entity('<SpeedCondition value="5" rule="lessThan"/>', attributes=EDGE.format("falling")),
         {"speed": {"above": 5.0, "edge": True}}),
        (AT_TWO + by_entity('<SpeedCondition value="5" rule="lessThan"/>'), {"time": 2.0, "speed": {"below": 5.0}}),
        (AT_TWO + "</ConditionGroup><ConditionGroup>" + by_entity('<StandStillCondition duration="1"/>'),
         [{"time": 2.0}, {"standstill": {"seconds": 1.0}}]),
        (by_value('<ParameterCondition parameterRef="$fast" rule="greaterThan" value="10"/>') + AT_TWO, {"time": 2.0}),
    ],
)  # fmt: skip
def test_conditions(trigger: str, expected: Any, tmp_path: Path) -> None:
    fast = '<ParameterDeclaration name="fast" parameterType="double" value="20"/>'
    content, findings = imported(tmp_path, osc(trigger=trigger, declarations=fast))
    assert content["events"]["e"]["when"] == expected
    assert not findings


def test_a_delay_counts_from_when_the_condition_holds(tmp_path: Path) -> None:
    trigger = by_entity('<StandStillCondition duration="1"/>', attributes='delay="3" conditionEdge="none"')
    events = imported(tmp_path, osc(trigger=trigger))[0]["events"]
    assert events["e"]["when"] == {"after": {"event": "c", "delay": 3.0}}
    assert events["c"] == {"when": {"standstill": {"seconds": 1.0}}}


def test_what_follows_something_waits_for_its_end(tmp_path: Path) -> None:
    state = '<StoryboardElementStateCondition storyboardElementType="{}" storyboardElementRef="{}" state="{}"/>'
    for kind, name, which, delay in (
        ("event", "e", "completeState", 4.0),
        ("action", "a", "endTransition", 4.0),
        ("event", "e", "startTransition", 0.0),
    ):
        follower = (
            f'<Event name="f" priority="overwrite"><Action name="b">{speed(9)}</Action><StartTrigger><ConditionGroup>'
            f"{by_value(state.format(kind, name, which))}</ConditionGroup></StartTrigger></Event>"
        )
        content, _ = imported(tmp_path, osc(action=to_speed("linear", "time", 4), more=follower))
        after = content["events"]["f"]["when"]["after"]
        assert (after["event"], after.get("delay", 0.0)) == ("e", delay)


def test_what_waits_for_what_never_happens_is_listed(tmp_path: Path) -> None:
    never = by_entity('<EndOfRoadCondition duration="1"/>')
    named = 'storyboardElementType="event" storyboardElementRef="e"'
    state = by_value(f'<StoryboardElementStateCondition {named} state="completeState"/>')
    stop = f"<ConditionGroup>{state}</ConditionGroup>"
    content, findings = imported(tmp_path, osc(trigger=never, stop=stop))
    assert "events" not in content
    texts = [finding.text for finding in findings]
    assert [finding.kind for finding in findings] == [LEFT_OUT] * 3
    assert any("EndOfRoadCondition is not supported" in text for text in texts)
    assert "stop never happens, as it waits for what never happens" in texts


def test_init_speeds_that_take_time_begin_at_rest(tmp_path: Path) -> None:
    text = osc().replace(speed(8), to_speed("linear", "time", 4)).replace(speed(10), to_speed("cubic", "time", 4))
    content, findings = imported(tmp_path, text)
    assert "speed" not in content["actors"]["other"]
    do = {"actor": "other", "speed": 3.0, "speed_over": 4.0}
    assert content["events"]["init_other"] == {"when": {"time": 0.0}, "do": do}
    assert content["ego"] == {"speed": 0.0}
    assert [finding.kind for finding in findings] == [POLICY]


def test_events_wait_for_their_act(tmp_path: Path) -> None:
    start = by_entity('<TraveledDistanceCondition value="5"/>')
    events = imported(tmp_path, osc(act_start=start))[0]["events"]
    assert events["e"]["when"] == {"after": {"event": "act"}, "time": 2.0}
    assert events["act"] == {"when": {"travelled": {"metres": 5.0}}}


def test_the_ego_is_left_to_the_policy_but_what_follows_it_happens(tmp_path: Path) -> None:
    named = 'storyboardElementType="event" storyboardElementRef="e"'
    state = f'<StoryboardElementStateCondition {named} state="endTransition"/>'
    stop = f"<ConditionGroup>{by_value(state)}</ConditionGroup>"
    content, findings = imported(tmp_path, osc(actor="Ego", action=to_speed("linear", "time", 4), stop=stop))
    assert content["events"]["e"] == {"when": {"time": 2.0}}
    assert content["events"]["stop"] == {"when": {"after": {"event": "e", "delay": 4.0}}, "do": {"finish": True}}
    assert [finding.kind for finding in findings] == [POLICY]
    assert content["success"] == {"last": True}


def test_weather_and_hour(tmp_path: Path) -> None:
    environment = (
        '<GlobalAction><EnvironmentAction><Environment name="e"><TimeOfDay animation="false" dateTime="{}"/>'
        '<Weather cloudState="{}"><Sun intensity="1" azimuth="0" elevation="{}"/><Fog visualRange="{}"/>'
        '<Precipitation precipitationType="{}" intensity="{}"/></Weather><RoadCondition frictionScaleFactor="1"/>'
        "</Environment></EnvironmentAction></GlobalAction>"
    )
    noon, night = "2026-06-01T12:00:00", "2026-06-01T23:30:00+01:00"
    for values, expected, listed in (
        ((noon, "free", 1, 1e5, "dry", 0), {"weather": "sunny", "time_of_day": "day"}, 0),
        ((night, "overcast", 1, 1e5, "dry", 0), {"weather": "overcast", "time_of_day": "night"}, 0),
        ((noon, "free", 0.05, 1e5, "rain", 0.3), {"weather": "rain", "time_of_day": "dusk"}, 0),
        ((noon, "free", 1, 80, "snow", 0.3), {"weather": "rain", "time_of_day": "day"}, 2),
    ):
        content, findings = imported(tmp_path, osc(action=environment.format(*values)))
        assert content["events"]["e"]["do"] == expected
        assert len(findings) == listed
