"""Policies that learn, one readable file each; they use only the public interface of drivesim."""
