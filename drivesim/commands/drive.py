"""`drivesim drive`: a policy drives; a film and a trace stay behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from drivesim.env import DriveWorldEnv
from drivesim.policy import load_policy
from drivesim.rollout import Trace, make_env, run
from drivesim.sources import start_options
from drivesim.video import VideoWriter


@hydra.main(config_path="pkg://drivesim.configs", config_name="drive", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    out = Path(settings["out"])
    trace = drive(settings, out)
    print(f"{trace.summary_line()}\nvideo  {out.resolve()}\ntrace  {out.with_suffix('.json').resolve()}")


def drive(settings: dict[str, Any], out: Path) -> Trace:
    """Drives once and writes the film `out` (.mp4) and the trace next to it (.json)."""
    policy = load_policy(settings["policy"], **settings["policy_options"])
    env = make_env(settings["env"], policy, settings["seconds"])
    out.parent.mkdir(parents=True, exist_ok=True)
    title, steps = settings["policy"].rpartition(":")[2], round(settings["seconds"] / env.step_seconds)
    with VideoWriter(out, 1.0 / env.step_seconds) as film, tqdm(total=steps, unit="step", desc="driving") as bar:

        def show(world: DriveWorldEnv, trace: Trace) -> None:
            film.write(world.picture(title))
            bar.update(len(trace.steps) - bar.n)

        trace = run(env, policy, seed=settings["seed"], options=start_options(settings["options"]), on_step=show)
    env.close()
    trace.save(out.with_suffix(".json"))
    return trace
