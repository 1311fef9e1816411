"""`drivesim evaluate-predictor`: prediction error and closed-loop conduct on held-out towns, as tables and JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from drivesim.data.clips import FPS, drive
from drivesim.predictor.beyond.measure import MapOverlap, map_overlaps, overlap_table
from drivesim.predictor.beyond.network import shipped_map_network
from drivesim.predictor.beyond.patches import TownPatches
from drivesim.predictor.conduct import Conduct, Witness
from drivesim.predictor.imagination import begin, imagine
from drivesim.predictor.measure import HORIZONS, METHODS, Displacement, displacements
from drivesim.predictor.network import ConditionPredictor
from drivesim.predictor.recording import LayoutBatches, LayoutConfig, record_layouts
from drivesim.predictor.shipped import shipped_predictor
from drivesim.predictor.windows import movers
from drivesim.world import EVALUATION_TOWNS, TownSource

_BATCH = 32  # windows
_EVERY = 3  # steps between looks at a closed loop


@dataclass(frozen=True)
class PredictorEvaluation:
    """What to measure."""

    out: str
    towns: int = 10  # from 900,000 on
    seconds: float = 40.0  # of every drive that is predicted
    data: str | None = None  # windows by `drivesim data format=layouts` in place of those towns
    weights: str | None = None
    loops: int = 10  # towns driven through in a closed loop
    loop_seconds: float = 60.0
    traffic: tuple[str, ...] = ("idm", "predicted", "unguarded")
    imagined: int = 64  # scenes imagined at once to measure speed
    map_patches: int = 400  # of those towns' maps, completed beyond what is mapped; 0 leaves it out
    map_weights: str | None = None


def evaluate_predictor(config: PredictorEvaluation) -> str:
    """Measures, writes `predictor.json` and returns the tables as Markdown."""
    predictor = shipped_predictor(config.weights)
    out = Path(config.out)
    data = config.data or str(out / "windows")
    if config.data is None:
        record_layouts(LayoutConfig(data, EVALUATION_TOWNS, config.towns, config.seconds, held_out=True))
    batches = LayoutBatches(data, _BATCH)
    rows = range(0, len(batches), _BATCH)
    windows = [batches.take(list(range(at, min(at + _BATCH, len(batches))))) for at in rows]
    errors = displacements(predictor, tqdm(windows, desc="windows"))
    own_errors = displacements(predictor, windows, egos=True)
    conducts = {name: conduct_of(name, config) for name in config.traffic} if config.loops else {}
    speed = imagination_speed(predictor, batches.take(list(range(min(config.imagined, len(batches))))))
    overlaps = overlaps_of(config) if config.map_patches else []
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "settings": asdict(config), "displacement": [asdict(row) for row in errors],
        "displacement_ego": [asdict(row) for row in own_errors], "map": [asdict(row) for row in overlaps],
        "conduct": {name: asdict(value) for name, value in conducts.items()}, "imagined_steps_per_second": speed,
    }  # fmt: skip
    partial = out / ".predictor.json.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(out / "predictor.json")
    parts = [displacement_table(errors, "vehicles"), displacement_table(own_errors, "egos"), *conduct_tables(conducts),
             overlap_table(overlaps) if overlaps else ""]  # fmt: skip
    parts.append(f"imagined layouts per second: {speed[0]:.0f}; per second of processor time: {speed[1]:.0f}")
    return "\n\n".join(part for part in parts if part)


def overlaps_of(config: PredictorEvaluation) -> list[MapOverlap]:
    """How true the maps of held-out towns are beyond what is mapped of them."""
    batch = min(_BATCH, config.map_patches)
    patches = TownPatches(config.towns, batch, first_town=EVALUATION_TOWNS, held_out=True)
    steps = range(math.ceil(config.map_patches / batch))
    return map_overlaps(shipped_map_network(config.map_weights), (patches(at) for at in tqdm(steps, desc="maps")))


def conduct_of(traffic: str, config: PredictorEvaluation) -> Conduct:
    """Conduct of a kind of traffic over held-out towns: "idm", "predicted", or "unguarded", predicted without the rules
    of `drivesim.predictor.guard`."""
    source, total = TownSource("idm" if traffic == "idm" else "predicted", predictor=config.weights), Conduct()
    if traffic == "unguarded" and source.predicted is not None:
        source.predicted = replace(source.predicted, guarded=False)
    for town in tqdm(range(EVALUATION_TOWNS, EVALUATION_TOWNS + config.loops), desc=traffic, unit="town"):
        scenes, witness = drive(source, town, round(config.loop_seconds * FPS))[::_EVERY], Witness()
        moving = movers(scenes)
        for scene in scenes:
            witness.watch(scene, moving, _EVERY / FPS)
        total = total.plus(witness.conduct())
    return total


def imagination_speed(
    predictor: ConditionPredictor, batch: Mapping[str, Tensor], steps: int = 12
) -> tuple[float, float]:
    """Layouts that are imagined in one batch per second, and per second of processor time."""
    state = begin(predictor, batch)
    imagine(predictor, state, None, 1)
    begun, worked = time.perf_counter(), time.process_time()
    imagine(predictor, state, None, steps)
    layouts = len(batch["motion"]) * steps
    return layouts / (time.perf_counter() - begun), layouts / (time.process_time() - worked)


def displacement_table(errors: list[Displacement], who: str) -> str:
    """Displacements as Markdown; `who` were predicted."""
    of = {(row.method, row.horizon): row for row in errors}
    heads = [f"final at {horizon:g} s [m] | average until {horizon:g} s [m]" for horizon in HORIZONS]
    lines = ["| method | " + " | ".join(heads) + " |", "|---" * (1 + 2 * len(HORIZONS)) + "|"]
    for method in METHODS:
        cells = [f"{of[method, h].final:.3f} | {of[method, h].average:.3f}" for h in HORIZONS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    for horizon in HORIZONS:
        best = min(of[method, horizon].final for method in METHODS[:2])
        gain = 1.0 - of["predictor", horizon].final / max(best, 1e-9)
        lines.append(f"\n{of['predictor', horizon].count} {who}; gain at {horizon:g} s: {gain:.0%}")
    return "\n".join(lines)


def conduct_tables(conducts: Mapping[str, Conduct]) -> list[str]:
    """Conduct as Markdown; nothing where there is none."""
    if not conducts:
        return []
    columns = ("traffic", "vehicle minutes", "mean speed [m/s]", "collisions per minute", "with people", "with the ego",
               "off the road")  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, c in conducts.items():
        counts = (c.collisions, c.collisions_on_foot, c.collisions_with_ego, c.off_road)
        cells = [f"{c.per_minute(count):.4f} ({count})" for count in counts]
        lines.append(f"| {name} | {c.vehicle_minutes:.0f} | {c.mean_speed:.2f} | " + " | ".join(cells) + " |")
    return ["\n".join(lines)]
