"""Keeping a ledger: carry in and out, copy, migrate, examine."""
