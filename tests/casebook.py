"""Inputs that an earlier release answered wrongly, each to be answered right for ever."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from conftest import Desk

from ledger.commands.registry import request_of
from projections.projector import Projections

FOLDER = Path(__file__).parent / "cases"
DEAL = "deal-x"


def lines(name: str) -> list[dict[str, Any]]:
    """The batch lines of a case, by the beginning of its name."""
    (path,) = FOLDER.glob(f"{name}-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def load(desk: Desk, name: str) -> None:
    """Record a case, whole."""
    desk.deal, desk.actor = DEAL, "ann@cap-co"
    desk.ledger.execute_batch(
        [(number, request_of(line)) for number, line in enumerate(lines(name), 1)]
    )


def rows(
    desk: Desk, view: str, as_of: date | None = None, deal: str | None = DEAL
) -> list[Any]:
    """The rows of a view, stored and brought up to date."""
    projections = Projections(desk.store)
    projections.catch_up()
    return projections.answer(view, deal, as_of=as_of).rows


def about(desk: Desk, as_of: date | None = None) -> Any:
    """What the standing says beside its figures."""
    projections = Projections(desk.store)
    projections.catch_up()
    return projections.answer("standing", DEAL, as_of=as_of).about
