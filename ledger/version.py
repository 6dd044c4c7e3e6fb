"""The version of this software, which every event names."""

__version__ = "0.2.0"
