"""One recorded drive: who drives, what is kept of every step, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivesim.conditions import ConditionSpec, build_conditions
from drivesim.data.episodes import EpisodeWriter, episode_folder
from drivesim.env import DriveWorldEnv
from drivesim.generators.interface import load_generator
from drivesim.policy import Policy, WorldPolicy, load_policy, seen_by
from drivesim.recording.disturbance import Disturbance
from drivesim.recording.plan import RecordPlan
from drivesim.recording.sparse_pictures import SparsePictures
from drivesim.rollout import make_env
from drivesim.scene import Scene

_TERMS = ("progress", "lane_keeping", "comfort", "collision", "off_road")


class Taker(Protocol):
    """Keeps a drive in one format."""

    def take(self, moment: Moment) -> None:
        """Takes in one decision and what came of it."""
        ...

    def finish(self, head: Mapping[str, Any]) -> None:
        """The drive is over; `head` tells about it."""
        ...


class Moment:
    """What was seen at one step, what was decided and done, and what it earned."""

    def __init__(self, env: DriveWorldEnv, index: int, observation: Mapping[str, NDArray]) -> None:
        self.index, self.scene, self.observation = index, env.scene, observation
        cameras = env.generator.spec.cameras if env.generator is not None else ()
        self.pictures = np.stack([observation[name] for name in cameras]) if cameras else None
        self.action: NDArray = np.zeros(0)
        self.executed: NDArray = np.zeros(0)
        self.disturbed = False
        self.reward = 0.0
        self.terms: Mapping[str, float] = {}


def recording_env(plan: RecordPlan, policy: Policy) -> DriveWorldEnv:
    """The environment of a plan. ValueError for a policy that looks at pictures where not all are drawn."""
    settings = dict(plan.env)
    settings["observation"] = tuple(dict.fromkeys((*settings.get("observation", ()), *plan.observation)))
    if plan.pictures_every > 1:
        if getattr(policy, "image_size", None) is not None:
            raise ValueError(
                f"pictures_every: found {plan.pictures_every} with a policy that looks at pictures, accepted 1"
            )
        options = dict(settings.pop("generator_options", None) or {})
        if settings.get("image_size") is not None:
            options["image_size"] = tuple(settings["image_size"])
        settings["generator"] = SparsePictures(load_generator(plan.generator, **options), plan.pictures_every)
    return make_env(settings, policy, plan.seconds)


def record_drive(plan: RecordPlan, index: int, takers: Sequence[Taker]) -> dict[str, Any]:
    """Drives once and lets every taker keep it; returns what there is to tell about the drive."""
    policy = load_policy(plan.policy, **plan.policy_options)
    env = recording_env(plan, policy)
    seed, options = plan.drive(index)
    disturbance = Disturbance(plan.disturbance, policy.action, env.step_seconds, seed)
    if isinstance(policy, WorldPolicy):
        policy.attach(env)
    observation, info = env.reset(seed=seed, options=options)
    policy.reset(info)
    step, over = 0, False
    while not over:
        moment = Moment(env, step, observation)
        moment.action = np.asarray(policy.act(seen_by(policy, observation), info))
        moment.executed = disturbance(moment.action, env.scene.ego, env.scene.vehicle)
        moment.disturbed = disturbance.active
        observation, reward, terminated, truncated, info = env.step(moment.executed)
        moment.reward, moment.terms = float(reward), info["rewards"]
        for taker in takers:
            taker.take(moment)
        step, over = step + 1, terminated or truncated
    head = {
        "policy": plan.policy, "action": policy.action, "seed": seed, "options": options, "fps": 1.0 / env.step_seconds,
        "pictures_every": plan.pictures_every, "generator": plan.generator, "source": env.settings["source"],
        "cameras": list(env.generator.spec.cameras) if env.generator is not None else [], "terms": list(_TERMS),
        "disturbance": plan.disturbance.strength, "distance": info["metrics"]["distance"], "ending": _ending(info),
    }  # fmt: skip
    env.close()
    for taker in takers:
        taker.finish(head)
    return head


def _ending(info: Mapping[str, Any]) -> str:
    events = info["events"]
    if events["collisions"]:
        return "collision"
    if events["off_road"]:
        return "off_road"
    return "goal" if events.get("scenario") == "success" else "time"


class EpisodeTaker:
    """Keeps a drive as an episode (`drivesim.data.episodes`)."""

    def __init__(self, plan: RecordPlan, folder: Path, index: int) -> None:
        self._plan = plan
        self._writer = EpisodeWriter(episode_folder(folder, index))
        self._first: Scene | None = None
        self._before: Scene | None = None
        self._constants: dict[str, NDArray] = {}

    def take(self, moment: Moment) -> None:
        """One row."""
        plan, scene = self._plan, moment.scene
        rows: dict[str, NDArray] = {
            "pose": scene.ego.pose, "tags": scene.tags.vector(), "action": moment.action, "executed": moment.executed,
            "disturbed": np.array(moment.disturbed), "reward": np.array(moment.reward, np.float32),
            "terms": np.array([moment.terms[name] for name in _TERMS], np.float32),
        }  # fmt: skip
        for name, value in moment.observation.items():
            if not name.startswith("CAM_"):
                rows[f"observation_{name}"] = value
        if moment.pictures is not None and moment.index % plan.pictures_every == 0:
            rows["frames"] = moment.pictures
        if plan.conditions:
            rows |= self._conditions(scene, moment.pictures)
        if self._first is None:
            self._first = scene
            height, width = scene.rig.image_size
            self._constants = {
                "intrinsics": (scene.rig.intrinsics / np.array([width, height, 1.0])[:, None]).astype(np.float32),
                "extrinsics": scene.rig.extrinsics.astype(np.float32),
            }
        self._before = scene
        self._writer.add(**rows)

    def finish(self, head: Mapping[str, Any]) -> None:
        """Writes the folder."""
        self._writer.write(head, **self._constants)

    def _conditions(self, scene: Scene, pictures: NDArray[np.uint8] | None) -> dict[str, NDArray]:
        """What `drivesim.data.clips` keeps of a frame for generators, at half the size of the pictures."""
        assert pictures is not None  # seen to by the plan
        spec = ConditionSpec((pictures.shape[1] // 2, pictures.shape[2] // 2), frozenset({"warp", "objects"}))
        built = build_conditions([[scene]], [self._before or scene], [self._first or scene], spec)
        assert built.previous_points is not None and built.object_pixels is not None
        return {name: getattr(built, name)[0, 0].numpy() for name in ("layout", "box_points", "motion", "ego")} | {
            "previous_points": built.previous_points[0, 0].numpy().astype(np.float16),
            "object_pixels": built.object_pixels[0, 0].numpy().astype(np.uint16),
        }
