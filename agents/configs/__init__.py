"""Settings of the commands of `agents`."""
