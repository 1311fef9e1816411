"""Runs a sub-command with overrides, as the console would."""

from __future__ import annotations

import sys
from types import ModuleType
from unittest.mock import patch

from hydra.core.global_hydra import GlobalHydra


def run_command(module: ModuleType, name: str, *overrides: str) -> None:
    """Calls `module.main()` under the command line `drivesim <name> <overrides>`."""
    GlobalHydra.instance().clear()
    with patch.object(sys, "argv", [f"drivesim {name}", *overrides]):
        module.main()
