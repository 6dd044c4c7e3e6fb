"""The commands, one module for each or for each noun; loaded when asked for."""
