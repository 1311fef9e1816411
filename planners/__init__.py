"""Policies that plan; they use only what the environment shows to everybody."""
