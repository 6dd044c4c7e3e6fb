"""Asking a test's funding: what is unlocked, paid, approved, available, in millions."""

from __future__ import annotations

from deals import draw

from ledger.domain.funding import Funding
from ledger.domain.values import Amount

ZERO = Amount.parse("0 USD")
REQUEST, APPROVE, INSTRUCT, SETTLE = draw()
YES = {"when": "date_reached", "on": "2025-01-02"}


def m(millions):
    """Millions of dollars."""
    return Amount.parse(f"{millions}m USD")


def get(desk):
    """The funding of the deal at hand."""
    return desk.get(Funding, desk.deal)


def state(desk, name="D1"):
    """The state of a drawdown."""
    return get(desk).drawdowns[name].state


def figures(desk, name="main"):
    """Unlocked, paid, approved, available: in whole millions."""
    funding = get(desk)
    found = (
        funding.unlocked(name),
        funding.paid(name),
        funding.approved_unsettled(name),
        funding.available(name),
    )
    return tuple(int(amount.value) // 10**6 for amount in found)


def revoke(desk, name="C-1", on="2025-07-01"):
    """Revoke a certificate."""
    return desk.data("certificate revoke", certificate=name, ground="Copied", on=on)
