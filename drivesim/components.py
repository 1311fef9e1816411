"""What can be trained, how its parts are put together, and how the result becomes a weights folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from drivesim import data_parallel
from drivesim.codecs.image import CodecConfig, ImageCodec, load_codec
from drivesim.data.clips import FrameStreams, PictureBatches
from drivesim.generators.stage.network import NetworkConfig, StageNetwork
from drivesim.generators.stage.objective import ObjectiveConfig, StageObjective
from drivesim.generators.stage.rollout import load_network
from drivesim.generators.stage.stages import freeze_others, training_stage
from drivesim.predictor.beyond.network import MapNetwork, MapNetworkConfig, load_map_network
from drivesim.predictor.beyond.objective import MapObjective, MapObjectiveConfig
from drivesim.predictor.beyond.patches import TownPatches
from drivesim.predictor.network import ConditionPredictor, PredictorConfig, load_predictor
from drivesim.predictor.objective import PredictorObjective, PredictorObjectiveConfig
from drivesim.predictor.recording import LayoutBatches
from drivesim.redetector.data import LayoutPictures
from drivesim.redetector.network import Redetector, RedetectorConfig, load_redetector
from drivesim.redetector.objective import RedetectorObjective, RedetectorObjectiveConfig
from drivesim.train import TrainConfig, Trainer
from drivesim.weights_io import save_weights

Options = Mapping[str, Any]


def train_codec(options: Options) -> Path:
    """Trains the small image codec on clips; returns the weights folder."""
    model = CodecConfig(**_tuples(options["model"]))
    module = ImageCodec.small(model)
    config = TrainConfig(**options["train"])
    batches = PictureBatches(options["data"], int(options["batch"]), config.seed)
    trainer = Trainer(module, batches, config)
    trainer.run()
    module.load_state_dict(trainer.averaged())
    module.eval().measure_statistics(torch.cat([batches(1_000_000 + i)["pictures"] for i in range(8)]))
    return _export(trainer.folder / "weights", "codec", module, asdict(model))


def train_stage(options: Options) -> Path:
    """Trains the streaming generator on clips with a trained codec; returns the weights folder, codec included."""
    codec_folder = Path(options["codec"])
    config = TrainConfig(**options["train"])
    stage = training_stage(str(options["stage"]))
    start = options.get("start") or (stage.after and Path(config.out).with_name(f"stage_{stage.after}") / "weights")
    network = load_network(Path(start)) if start else StageNetwork(NetworkConfig(**_tuples(options["model"])))
    freeze_others(network, stage.trained)
    given = {name: value for name, value in options["objective"].items() if value is not None}
    objective = StageObjective(network, load_codec(codec_folder), ObjectiveConfig(**{**stage.objective, **given}))
    trainer = Trainer(objective, FrameStreams(options["data"], int(options["batch"]), config.seed), config)
    trainer.run()
    objective.load_state_dict(trainer.averaged())
    folder = _export(trainer.folder / "weights", "stage", network, asdict(network.config))
    for name in ("codec.json", "codec.safetensors") if data_parallel.rank() == 0 else ():
        if (codec_folder / name).resolve() != (folder / name).resolve():
            shutil.copyfile(codec_folder / name, folder / name)
    return folder


def train_predictor(options: Options) -> Path:
    """Trains the condition predictor on windows of layouts; returns the weights folder."""
    config = TrainConfig(**options["train"])
    start = options.get("start")
    predictor = load_predictor(Path(start)) if start else ConditionPredictor(PredictorConfig(**options["model"]))
    objective = PredictorObjective(predictor, PredictorObjectiveConfig(**options["objective"]))
    batches = LayoutBatches(options["data"], int(options["batch"]), config.seed, int(options["rows"]))
    trainer = Trainer(objective, batches, config)
    trainer.run()
    objective.load_state_dict(trainer.averaged())
    return _export(trainer.folder / "weights", "predictor", predictor, asdict(predictor.config))


def train_predictor_map(options: Options) -> Path:
    """Trains the network that completes maps on patches of towns; returns the weights folder."""
    config = TrainConfig(**options["train"])
    start = options.get("start")
    network = load_map_network(start) if start else MapNetwork(MapNetworkConfig(**_tuples(options["model"])))
    objective = MapObjective(network, MapObjectiveConfig(**options["objective"]))
    trainer = Trainer(objective, TownPatches(int(options["towns"]), int(options["batch"]), config.seed), config)
    trainer.run()
    objective.load_state_dict(trainer.averaged())
    return _export(trainer.folder / "weights", "predictor_map", network, asdict(network.config))


def train_redetector(options: Options) -> Path:
    """Trains the re-detector on clips and the layouts that they show; returns the weights folder."""
    config = TrainConfig(**options["train"])
    start = options.get("start")
    redetector = load_redetector(start) if start else Redetector(RedetectorConfig(**_tuples(options["model"])))
    objective = RedetectorObjective(redetector, RedetectorObjectiveConfig(**options["objective"]))
    batches = LayoutPictures(
        options["data"], options["targets"], int(options["batch"]), config.seed, int(options["stride"])
    )
    trainer = Trainer(objective, batches, config)
    trainer.run()
    objective.load_state_dict(trainer.averaged())
    return _export(trainer.folder / "weights", "redetector", redetector, asdict(redetector.config))


COMPONENTS = {
    "codec": train_codec, "predictor": train_predictor, "predictor_map": train_predictor_map,
    "redetector": train_redetector, "stage": train_stage,
}  # fmt: skip


def train(component: str, options: Options) -> Path:
    """Trains one component. Raises ValueError for an unknown one."""
    if component not in COMPONENTS:
        raise ValueError(f"component: found {component!r}, accepted {sorted(COMPONENTS)}")
    return COMPONENTS[component](options)


def _export(folder: Path, name: str, module: nn.Module, config: Mapping[str, Any]) -> Path:
    if data_parallel.rank() > 0:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
    save_weights(module, folder / f"{name}.safetensors")
    return folder


def _tuples(options: Options) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
