"""Checking a record: hash by hash, and judged again."""
