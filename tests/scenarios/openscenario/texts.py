"""OpenSCENARIO texts that tests write: one file with holes for what a test is about."""

from __future__ import annotations

from pathlib import Path

import yaml

from drivesim.scenarios.openscenario import Finding, ImportSettings, import_openscenario

EGO_AT = '<LanePosition roadId="1" laneId="-2" s="100"/>'
OTHER_AT = '<LanePosition roadId="1" laneId="-2" s="130"/>'
AT_ONCE = (
    '<SpeedAction><SpeedActionDynamics dynamicsShape="step" value="0" dynamicsDimension="time"/>'
    "<SpeedActionTarget>{}</SpeedActionTarget></SpeedAction>"
)


def speed(value: float) -> str:
    """A private action that sets a speed."""
    target = f'<AbsoluteTargetSpeed value="{value}"/>'
    return f"<PrivateAction><LongitudinalAction>{AT_ONCE.format(target)}</LongitudinalAction></PrivateAction>"


def teleport(position: str) -> str:
    """A private action that places somebody."""
    return f"<PrivateAction><TeleportAction><Position>{position}</Position></TeleportAction></PrivateAction>"


def vehicle(name: str, category: str = "car") -> str:
    """A vehicle whose middle is 1.4 m before its rear axle."""
    return (
        f'<ScenarioObject name="{name}"><Vehicle name="v" vehicleCategory="{category}"><BoundingBox>'
        '<Center x="1.4" y="0" z="0.8"/><Dimensions width="2" length="4.5" height="1.6"/></BoundingBox>'
        "</Vehicle></ScenarioObject>"
    )


def by_entity(condition: str, who: str = "Ego", attributes: str = 'delay="0" conditionEdge="none"') -> str:
    """A condition of an entity."""
    return (
        f'<Condition name="c" {attributes}><ByEntityCondition><TriggeringEntities triggeringEntitiesRule="any">'
        f'<EntityRef entityRef="{who}"/></TriggeringEntities><EntityCondition>{condition}</EntityCondition>'
        "</ByEntityCondition></Condition>"
    )


def by_value(condition: str, attributes: str = 'delay="0" conditionEdge="none"') -> str:
    """A condition of a value."""
    return f'<Condition name="c" {attributes}><ByValueCondition>{condition}</ByValueCondition></Condition>'


AT_TWO = by_value('<SimulationTimeCondition value="2" rule="greaterThan"/>')


def osc(
    *, ego: str = EGO_AT, other: str = OTHER_AT, init: str = "", action: str = speed(3), trigger: str = AT_TWO,
    entities: str = "", description: str = "x", declarations: str = "", actor: str = "Other", stop: str = "",
    act_start: str = by_value('<SimulationTimeCondition value="0" rule="greaterThan"/>'), more: str = "",
) -> str:  # fmt: skip
    """A file with an ego at 10 m/s, another car at 8 m/s, and one event of the latter."""
    return f"""<?xml version="1.0"?>
<OpenSCENARIO>
<FileHeader revMajor="1" revMinor="1" date="2026-01-01T00:00:00" description="{description}" author="x"/>
<ParameterDeclarations>{declarations}</ParameterDeclarations>
<CatalogLocations/>
<RoadNetwork/>
<Entities>{vehicle("Ego")}{vehicle("Other")}{entities}</Entities>
<Storyboard><Init><Actions>
<Private entityRef="Ego">{teleport(ego)}{speed(10)}</Private>
<Private entityRef="Other">{teleport(other)}{speed(8)}</Private>
{init}</Actions></Init>
<Story name="s"><Act name="act"><ManeuverGroup name="g" maximumExecutionCount="1">
<Actors selectTriggeringEntities="false"><EntityRef entityRef="{actor}"/></Actors>
<Maneuver name="m">
<Event name="e" priority="overwrite"><Action name="a">{action}</Action>
<StartTrigger><ConditionGroup>{trigger}</ConditionGroup></StartTrigger></Event>
{more}</Maneuver></ManeuverGroup>
<StartTrigger><ConditionGroup>{act_start}</ConditionGroup></StartTrigger></Act></Story>
<StopTrigger>{stop}</StopTrigger></Storyboard>
</OpenSCENARIO>
"""


def imported(folder: Path, text: str, settings: ImportSettings | None = None) -> tuple[dict, list[Finding]]:
    """The scenario of a text as a mapping, and its findings except the one about the road network."""
    path = folder / "made.xosc"
    path.write_text(text)
    result = import_openscenario(path, settings)
    return yaml.safe_load(result.text), [f for f in result.findings if not f.path.endswith("RoadNetwork")]
