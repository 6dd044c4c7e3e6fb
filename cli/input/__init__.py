"""How what was given is read."""
