"""The Hydra configurations of the command line."""
