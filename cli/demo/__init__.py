"""Deals to look at: packaged ones, and one made up."""
