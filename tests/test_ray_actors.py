"""Jobs over Ray actors: the same results as of one process, also if workers die under way."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivesim.commands.executor import fan_out_of
from drivesim.ray_actors import LOCAL, connected, in_ray_actors
from drivesim.suites.plan import Entrant, EvaluationPlan
from drivesim.suites.runner import evaluate
from drivesim.suites.suite import town_suite
from tests.worker_deaths import die


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
    with connected(2, LOCAL):
        yield


def test_every_job_is_done_once_and_errors_come_out(cluster: None) -> None:
    assert sorted(in_ray_actors(operator.neg, range(7), 2)) == list(range(-6, 1))
    with pytest.raises(TypeError, match="bad operand"):
        list(in_ray_actors(operator.neg, [1, "two", 3], 2))


def test_a_worker_that_dies_under_way_loses_nothing(cluster: None, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    mortal = Entrant("mortal", "tests.suites.policies:KillsItsWorker", {"marker": str(marker)})
    plan = EvaluationPlan(
        (mortal, Entrant("Brake", "tests.suites.policies:Brake")), town_suite(3, seconds=1.5), {"generator": None}
    )
    rows = evaluate(plan, tmp_path / "ray", 2, in_ray_actors)
    assert marker.exists() and len(rows) == 6 and not any("error" in row for row in rows)
    assert rows == evaluate(plan, tmp_path / "alone")
    for name in ("table.csv", "runs.jsonl", "runs/mortal/town-900000.npy", "runs/Brake/town-900002.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_job_that_always_kills_its_worker_is_named(cluster: None) -> None:
    with pytest.raises(RuntimeError, match="job: found 7 whose worker died 3 times"):
        list(in_ray_actors(die, [7], 1))


def test_executors_go_by_name() -> None:
    with pytest.raises(ValueError, match=r"executor: found 'threads', accepted \('processes', 'ray'\)"):
        fan_out_of("threads", LOCAL)
