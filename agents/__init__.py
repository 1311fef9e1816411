"""Policies that learn: one readable file each."""
