"""The scenarios that come with the package, and the manoeuvres that master them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from drivesim.env import DriveWorldEnv
from drivesim.scenarios import library_names, load_scenario
from drivesim.scenarios.library import EXPERTS
from drivesim.scenarios.schema import SKILLS
from drivesim.world import EVALUATION_TOWNS
from planners.manoeuvre import Manoeuvre, ManoeuvrePolicy
from planners.prove_scenarios import VARIANTS, is_proven, make_env, outcome

RECORDS = json.loads(EXPERTS.read_text())
SAMPLE = ("cut_in_01", "jaywalker_03", "stalled_car_01", "frontal_02", "red_light_runner_01", "slow_cyclist_01")


@pytest.fixture(scope="module")
def env() -> DriveWorldEnv:
    return make_env()


def test_every_skill_and_level_is_there() -> None:
    scenarios = [load_scenario(name) for name in library_names()]
    assert len(scenarios) >= 40
    skills = Counter(scenario.skill for scenario in scenarios)
    assert set(skills) == set(SKILLS) - {"other"}
    assert min(skills.values()) >= 3
    assert {scenario.difficulty for scenario in scenarios} == {1, 2, 3}
    assert all(scenario.town >= EVALUATION_TOWNS for scenario in scenarios)
    assert len({scenario.title for scenario in scenarios}) == len(scenarios)


@pytest.mark.parametrize("name", library_names())
def test_every_scenario_is_readable_in_many_variants_and_has_its_experts(name: str) -> None:
    for variant in (0, 1, 2, 99, 2**31 - 1):
        assert load_scenario(name, variant).variant == variant
    assert is_proven(name, RECORDS[name])
    assert RECORDS[name]["blind"] != "success"  # it takes more than keeping to the route


@pytest.mark.parametrize("name", SAMPLE)
def test_experts_master_a_sample_and_the_blind_do_not(name: str, env: DriveWorldEnv) -> None:
    assert load_scenario(name).town == 900104  # one town is built for all of them
    for variant in (0, VARIANTS - 1):
        expert = Manoeuvre(**RECORDS[name]["variants"][variant]["expert"])
        assert outcome(env, name, variant, ManoeuvrePolicy(**vars(expert))) == "success"
    blind = ManoeuvrePolicy(cruise=load_scenario(name).ego.speed, blind=True)
    assert outcome(env, name, 0, blind) == RECORDS[name]["blind"]
