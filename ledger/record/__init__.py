"""The store: what is remembered, and in which order."""
