"""The ways in and out: parse, call, print. No rules."""
