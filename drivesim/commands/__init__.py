"""The sub-commands of `drivesim`, one Hydra application per file."""
