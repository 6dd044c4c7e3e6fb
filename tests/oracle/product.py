"""The product, as the oracle meets it: all that knows its modules and its columns.

Rows come out as plain dictionaries in the oracle's own words: whole minor units and
watts, names as keys.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from record import Entry, entry_of
from sums import minor_of

from ledger.application import Ledger
from ledger.commands.registry import request_of
from ledger.custody.transfer import export, import_
from ledger.domain.transcoding import to_builtins
from ledger.errors import AccordError, BatchRefused, NotFound, Refused
from ledger.record.store import create_store
from projections.engine import stored
from projections.projector import Projections, view_tables

VIEWS = (
    "deals",
    "standing",
    "conditions",
    "milestones",
    "fleet",
    "certificates",
    "commitment",
    "drawdowns",
    "distance",
)
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
SEGMENT = 16
"""So few events that a small record has many segments, and past rows are really read."""


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **spans: int) -> None:
        """Go on by a span, as `timedelta` takes it."""
        self.now += timedelta(**spans)

    @property
    def today(self) -> str:
        """The day, as it is written."""
        return self.now.astimezone(UTC).date().isoformat()


class Desk:
    """A real ledger, driven by batch lines."""

    def __init__(self, url: str, begin: datetime) -> None:
        self.clock = Clock(begin)
        self.store, _ = create_store(url, self.clock, beside=view_tables())
        self.ledger = Ledger(self.store)
        self.views = Projections(self.store)
        self._entries: list[Entry] = []

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def do(self, *lines: dict[str, Any]) -> str | None:
        """Carry lines out, all or none; the refusal's code where they are refused."""
        try:
            requests = [(n, request_of(line)) for n, line in enumerate(lines, start=1)]
            if len(lines) == 1:
                self.ledger.execute(requests[0][1])
            else:
                self.ledger.execute_batch(requests)
        except AccordError as error:
            return code_of(error)
        return None

    def tries(self, line: dict[str, Any]) -> str | None:
        """Try a line without recording it; the refusal's code where it is refused."""
        try:
            self.ledger.dry_run([(1, request_of(line))])
        except AccordError as error:
            return code_of(error)
        return None

    @property
    def size(self) -> int:
        """How many events stand on the record."""
        return self.store.head().size

    def entries(self) -> list[Entry]:
        """Every event on the record, read from its stored bytes."""
        seen = len(self._entries)
        if seen < self.size:
            found = self.store.select_notifications(seen + 1, self.size - seen)
            self._entries += [entry_of(bytes(item.state)) for item in found]
        return self._entries

    @contextmanager
    def as_known_at(self, position: int) -> Iterator[Desk]:
        """Another ledger that knows what this one knew at a position, from an export."""
        out = io.BytesIO()
        export(self.store, out)
        with tempfile.TemporaryDirectory(dir=memory()) as folder:
            other = Desk(url_of(Path(folder) / "cut.db"), self.clock.now)
            import_(other.store, out.getvalue().splitlines(keepends=True)[:position])
            try:
                yield other
            finally:
                other.close()

    def follow(self) -> None:
        """Let the stored views catch up."""
        self.views.catch_up()

    def ask(
        self, deal: str, as_of: str | None, known_at: int | None, today: str
    ) -> dict[str, Any] | None:
        """What every view says of a deal at a moment; nothing where it was not known."""
        asked = date.fromisoformat(as_of) if as_of else None
        with self.views.reading(asked, known_at, date.fromisoformat(today)) as reading:
            try:
                reading.check_known(deal)
            except NotFound:
                return None
            answers = {name: reading.answer(view, deal) for name, view in _views()}
        return {name: _plain(name, answer) for name, answer in answers.items()}


def code_of(error: AccordError) -> str:
    """The code of a refusal, or the name of another error."""
    if isinstance(error, BatchRefused):
        return code_of(error.problems[0][1])
    return error.code if isinstance(error, Refused) else type(error).__name__


def _views() -> Iterator[tuple[str, Any]]:
    from projections.registry import view_named

    for name in VIEWS:
        yield name, view_named(name)


@contextmanager
def small_segments() -> Iterator[None]:
    """Let stored rows of the past be kept every few events."""
    before = stored.SEGMENT
    stored.SEGMENT = SEGMENT
    try:
        yield
    finally:
        stored.SEGMENT = before


def memory() -> Path | None:
    """Where files are in memory, if the system has a place for them."""
    return MEMORY if MEMORY.is_dir() else None


def url_of(path: Path) -> str:
    """The address of a SQLite ledger."""
    return f"sqlite:///{path}"


# Columns


def _plain(name: str, answer: Any) -> Any:
    rows = [to_builtins(row) for row in answer.rows]
    if name != "deals":  # What is only told stands in a row where nothing else does.
        rows = [row for row in rows if row.get("status", "confirmed") == "confirmed"]
    about = to_builtins(answer.about) if answer.about is not None else {}
    return _READ[name](rows, about)


TOLD_OF_DEALS = ("announced", "committed", "disbursed")


def _deals(rows: list[Any], _: Any) -> dict[str, Any]:
    return {
        f"{row['deal']} {row['funding_unit']}": {
            "title": row["title"],
            **{rung: minor_of(row[f"funding_{rung}"]) for rung in TOLD_OF_DEALS},
            "state": row["state"],
            "capacity_announced": int(row["capacity_announced"]),
            "capacity_accepted": int(row["capacity_accepted"]),
        }
        for row in rows
    }


def _standing(rows: list[Any], about: Any) -> dict[str, Any]:
    rungs = {}
    for row in rows:
        key = (row["ladder"], row.get("undertaking"), row["rung"], row["unit"])
        figure = row["quantity"]
        rungs[key] = minor_of(figure) if figure is not None else None
    return {
        "rungs": rungs,
        "state": about["state"],
        "basis": about["basis"],
        "flags": set(about["flags"]),
        "first_ready": ready_in(about["next_trigger"] or ""),
        "open_conditions": about["open_conditions"],
    }


def _conditions(rows: list[Any], _: Any) -> dict[str, Any]:
    columns = ("scope", "state", "long_stop_on", "days_left", "owner", "waivable_by")
    return {row["condition"]: {c: row[c] for c in (*columns, "on")} for row in rows}


def _milestones(rows: list[Any], _: Any) -> dict[str, Any]:
    columns = ("state", "target_on", "first_target_on", "achieved_on", "result")
    found = {}
    for row in rows:
        found[row["milestone"]] = {c: row[c] for c in columns}
        for column in ("agreed_by", "signed_off_by"):
            found[row["milestone"]][column] = names_of(row[column])
    return found


def names_of(text: str | None) -> tuple[str, ...]:
    """Names in a column, in order."""
    return tuple(sorted(filter(None, (text or "").replace(",", " ").split())))


def _fleet(rows: list[Any], _: Any) -> dict[str, Any]:
    columns = ("systems", "gpu_packages", "gpu_dies")
    return {
        (row["site"], row["sku"], row["sku_version"], row["state"]): {
            **{column: row[column] for column in columns},
            "watts": int(row["power"]),
        }
        for row in rows
    }


def _certificates(rows: list[Any], _: Any) -> dict[str, Any]:
    return {
        row["certificate"]: {
            "state": row["state"],
            "systems": row["systems"],
            "certified_w": int(row["certified"] or 0),
            "basis": row["basis"],
            "issuer": row["issuer"] or None,
            "countersigned": names_of(row["countersigned"]),
            "since": row["since"],
        }
        for row in rows
    }


MONEY = (
    "cap",
    "committed",
    "unlocked",
    "requested",
    "approved",
    "disbursed",
    "clawed_back",
    "available",
    "locked",
    "overfunded",
)


def _commitment(rows: list[Any], _: Any) -> dict[str, Any]:
    texts = ("provider", "recipient", "instrument", "unit")
    return {
        row["facility"]: {
            **{column: row[column] for column in texts},
            "expires_on": row["expires_on"],
            **{column: minor_of(row[column]) for column in MONEY},
        }
        for row in rows
    }


def _drawdowns(rows: list[Any], _: Any) -> dict[str, Any]:
    return {
        row["drawdown"]: {
            "facility": row["facility"],
            "tranches": names_of(row["tranches"]),
            "amount": minor_of(row["amount"]),
            "unit": row["unit"],
            "state": row["state"],
            "value_on": row["value_on"],
            "bank_ref": row["bank_ref"] or None,
            "returned": minor_of(row["returned"]),
            "equity": names_of(row["equity"]),
        }
        for row in rows
    }


def _distance(rows: list[Any], _: Any) -> dict[str, Any]:
    return {
        row["tranche"]: {
            "facility": row["facility"],
            "size": minor_of(row["size"]),
            "unlocked": minor_of(row["unlocked"]),
            "certified_w": int(row["certified_w"]),
            "gap_w": int(row["gap_w"]) if row["gap_w"] else None,
            "expires_on": row["expires_on"],
            "ready": row["ready"],
            "missing": row["missing"] or "",
        }
        for row in rows
    }


_READ = {
    "deals": _deals,
    "standing": _standing,
    "conditions": _conditions,
    "milestones": _milestones,
    "fleet": _fleet,
    "certificates": _certificates,
    "commitment": _commitment,
    "drawdowns": _drawdowns,
    "distance": _distance,
}


def ready_in(text: str) -> str | None:
    """The tranche that the next trigger says is ready, if it does."""
    return text.split(" ", maxsplit=1)[0] if text.endswith("ready to unlock") else None
