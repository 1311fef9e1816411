"""Command line: `drivesim <command> [key=value ...]`; every command is a Hydra application over `drivesim/configs`."""

from __future__ import annotations

import re
import sys
from importlib import import_module

COMMANDS = {
    "drive": "let a policy drive; writes a video and a JSON trace",
    "record": "let a policy drive many times; writes episodes for imitation and a nuScenes-format data set",
    "data": "write a nuScenes-format data set of the town, or layouts and clips for training",
    "train": "train the image codec, the stage generator, the predictor or the re-detector",
    "evaluate": "put policies through a suite of scenarios; writes tables and a report with films of the failures",
    "evaluate-video": "compare generated drives with their ray-cast truth; writes tables, plots and contact sheets",
    "evaluate-predictor": "measure predicted layouts against simple motion, and predicted traffic in a closed loop",
    "import-scenario": "turn an OpenSCENARIO file into a scenario; lists what cannot be taken over",
    "bench": "measure time per stage, steps/s and memory",
}

# Settings that take any key: what they accept is up to what they are handed to.
OPEN_SETTINGS = ("generator_options", "parameters", "policy_options", "reset_options", "reward", "source_options")


def main() -> None:
    """Runs the command that the first argument names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return
    command = arguments[0]
    if command not in COMMANDS:
        sys.exit(f"drivesim: found command {command!r}, accepted {', '.join(COMMANDS)}\n\n{usage()}")
    sys.argv = [f"drivesim {command}", *map(_opened, arguments[1:])]
    try:
        import_module(f"drivesim.commands.{command.replace('-', '_')}").main()
    except KeyboardInterrupt:
        sys.exit(130)


def _opened(argument: str) -> str:
    """An argument as Hydra takes it: a key below an open setting need not stand in the configuration."""
    return f"++{argument}" if re.match(rf"([\w.]+\.)?({'|'.join(OPEN_SETTINGS)})\.[\w.]+=", argument) else argument


def usage() -> str:
    """Help text over all commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: drivesim <command> [key=value ...]", "", *lines, "", "`drivesim <command> --help` shows its settings."]
    )
