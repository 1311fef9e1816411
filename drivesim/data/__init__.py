"""Recorded drives: data sets read into the vocabulary of `drivesim.scene`."""
