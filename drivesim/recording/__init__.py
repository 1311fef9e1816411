"""Drives kept as data: what a policy saw and did, for imitation and for the tools of nuScenes."""
