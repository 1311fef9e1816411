"""Policies that learn: reinforcement learning, cloning of recorded drives, driving from the cameras."""
