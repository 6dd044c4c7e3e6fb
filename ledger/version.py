"""The version of this software, which every event names."""

__version__ = "0.5.0"
