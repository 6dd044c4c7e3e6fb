"""The whole ledger beside a plain-dict model: random commands over two deals.

The model knows in advance whether a command is accepted. After each step the standing
equals the model's; at the end model == views == rebuilt views == imported copy, the
record verifies, and no refusal has left a trace.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from conftest import Desk
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ledger.audit.integrity import verify
from ledger.audit.recheck import recheck
from ledger.custody.transfer import export, import_
from ledger.domain.transcoding import decode
from ledger.errors import AccordError
from ledger.record.store import create_store
from projections.projector import Projections, view_tables
from projections.views.commitment import COMMITMENT
from projections.views.distance import DISTANCE
from projections.views.standing import STANDING

DEALS = ("alpha-one", "beta-two")
SERIALS = tuple(f"maker/R{n}" for n in range(4))
TRANCHES = ("T1", "T2", "T3")
STEPS = ("shipped", "received", "installed", "energised", "tested", "accepted")
ROOM_W = 150_000
CAP = 90
SIZE = 30
EVIDENCE = {
    kind: [{"title": kind, "kind": kind}]
    for kind in ("signed_agreement", "engineer_certificate", "bank_confirmation")
}
deals = st.sampled_from(DEALS)
busy = st.sampled_from((DEALS[0], *DEALS))
serials = st.sampled_from(SERIALS)
tranches = st.sampled_from(TRANCHES)
millions = st.integers(1, 20)


def new_deal() -> dict[str, Any]:
    """A deal of which nothing is known."""
    return {
        "state": "none",
        "suspended": False,
        "facility": False,
        "unlocked": dict.fromkeys(TRANCHES, 0),
        "draws": {},
        "certificates": {},
        "ordered": 0,
    }


class Partnership(RuleBasedStateMachine):
    """Commands, some of which must be refused, and what the record then says."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.desk = Desk(self.folder / "accord.db")
        self.views = Projections(self.desk.store)
        self.model = {deal: new_deal() for deal in DEALS}
        self.systems: dict[str, dict[str, Any]] = {}
        self.count = 0

    def teardown(self) -> None:
        """Compare the views with rebuilt ones and with an imported copy's."""
        try:
            if self.desk.store.head().size:
                self.compare_copies()
        finally:
            self.desk.ledger.close()
            shutil.rmtree(self.folder)

    def compare_copies(self) -> None:
        """Model == views == rebuilt views == imported copy, and the log verifies."""
        assert recheck(self.desk.store).findings == []
        before = self.everything(self.views)
        self.views.rebuild()
        assert self.everything(self.views) == before
        self.views.verify()
        out = io.BytesIO()
        export(self.desk.store, out)
        url = f"sqlite:///{self.folder / 'copy.db'}"
        copy, _ = create_store(url, self.desk.clock, beside=view_tables())
        import_(copy, io.BytesIO(out.getvalue()))
        assert copy.head() == self.desk.store.head()
        copied = Projections(copy)
        copied.catch_up()
        assert self.everything(copied) == before
        assert verify(copy).events == verify(self.desk.store).events
        copy.close()

    def everything(self, views: Projections) -> list[Any]:
        """Every view of every deal on the record."""
        from projections.registry import VIEWS

        known = [deal for deal in DEALS if self.model[deal]["state"] != "none"]
        found = []
        for view in VIEWS:
            scopes = [None] if view.name == "deals" else known
            for deal in scopes:
                answer = views.answer(view.name, deal)
                found.append((view.name, deal, answer.rows, answer.digest))
        return found

    def attempt(self, ok: bool, command: str, deal: str, **keys: Any) -> bool:
        """Carry out a command; it is accepted just where the model says so."""
        before = self.desk.store.head()
        keys.setdefault("actor", "ann@cap")
        try:
            self.desk.do(command, deal=deal, **keys)
        except AccordError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert not ok, f"{command}: {refusal}"
            assert self.desk.store.head() == before
            return False
        assert ok, f"{command} should have been refused"
        return True

    # The agreement.
    @initialize()
    def begin(self) -> None:
        """One deal starts in effect, with two accepted systems: most rules need them."""
        deal = DEALS[0]
        for step in (self.open, self.sign_loi, self.sign_definitive):
            step(deal)
        self.take_effect(deal)
        self.define_facility(deal)
        for serial in SERIALS[:2]:
            self.allocate(deal, serial)
            for _ in STEPS:
                self.step_on(serial, skip=False)
        self.certify(deal)
        self.unlock(deal, TRANCHES[0])

    @rule(deal=busy, amount=millions)
    def draw_down(self, deal: str, amount: int) -> None:
        """Take a drawdown from request to payment, as far as it goes."""
        unlocked = self.model[deal]["unlocked"]
        tranche = next((t for t in reversed(TRANCHES) if unlocked[t]), TRANCHES[0])
        if name := self.request_one(deal, tranche, amount):
            self.approve_one(deal, name, "ann@cap")
            self.pay_one(deal, name, "ian@cap")

    @rule(deal=deals, step=st.integers(0, 4))
    def negotiate(self, deal: str, step: int) -> None:
        """Try a step of the agreement's life."""
        (
            self.open,
            self.sign_loi,
            self.sign_definitive,
            self.take_effect,
            self.define_facility,
        )[step](deal)

    def open(self, deal: str) -> None:
        """Put a deal on the record."""
        mine = self.model[deal]
        ok = mine["state"] == "none"
        keys = {"title": deal, "capital": ["cap"], "capacity": ["dep"]}
        if self.attempt(ok, "agreement open", deal, **keys):
            mine["state"] = "draft"

    def sign_loi(self, deal: str) -> None:
        """Sign a letter of intent."""
        mine = self.model[deal]
        ok = mine["state"] == "draft"
        terms = {"capacity_floor": "600 kW", "funding_cap": f"{CAP}m USD"}
        keys = {"signatories": ["cap", "dep"], "terms": terms}
        if self.attempt(ok, "agreement sign-loi", deal, **keys):
            mine["state"] = "loi_signed"

    def sign_definitive(self, deal: str) -> None:
        """Sign the definitive agreement."""
        mine = self.model[deal]
        ok = mine["state"] in {"draft", "loi_signed"}
        terms = {
            "capacity_floor": "600 kW",
            "capacity_basis": "rated",
            "funding_cap": f"{CAP}m USD",
        }
        keys = {"signatories": ["cap", "dep"], "terms": terms}
        keys["evidence"] = EVIDENCE["signed_agreement"]
        if self.attempt(ok, "agreement sign-definitive", deal, **keys):
            mine["state"] = "definitive_signed"

    def take_effect(self, deal: str) -> None:
        """Bring it into effect."""
        mine = self.model[deal]
        ok = mine["state"] == "definitive_signed"
        if self.attempt(ok, "agreement bring-into-effect", deal):
            mine["state"] = "in_effect"

    @rule(deal=deals, doubt=st.integers(0, 3))
    def suspend(self, deal: str, doubt: int) -> None:
        """Suspend draws, now and then."""
        if doubt:
            self.resume(deal)
            return
        mine = self.model[deal]
        ok = mine["state"] == "in_effect" and not mine["suspended"]
        keys = {"scopes": ["draw"], "ground": "A doubt"}
        if self.attempt(ok, "agreement suspend", deal, **keys):
            mine["suspended"] = True

    def resume(self, deal: str) -> None:
        """Resume draws."""
        mine = self.model[deal]
        if self.attempt(mine["suspended"], "agreement resume", deal, scopes=["draw"]):
            mine["suspended"] = False

    # The funding.
    def define_facility(self, deal: str) -> None:
        """Define the facility, its SKU and its tranches at 1, 2 and 3 systems."""
        mine = self.model[deal]
        ok = mine["state"] != "none" and not mine["facility"]
        keys: dict[str, Any] = {"facility": "main", "provider": "cap"}
        keys |= {"recipient": "dep", "instrument": "equity"}
        if not self.attempt(
            ok, "funding define-facility", deal, **keys, commitment=f"{CAP}m USD"
        ):
            return
        mine["facility"] = True
        for number, tranche in enumerate(TRANCHES, start=1):
            self.desk.do(
                "funding define-tranche",
                deal=deal,
                tranche=tranche,
                facility="main",
                number=number,
                size=f"{SIZE}m USD",
                trigger={
                    "when": "capacity_certified",
                    "at_least": f"{number * ROOM_W} W",
                },
                formula={"rule": "fixed", "amount": f"{SIZE}m USD"},
            )
        self.desk.do(
            "sku define",
            deal=deal,
            sku="rack",
            sku_version=1,
            manufacturer="maker",
            title="Rack",
            gpu_packages=72,
            gpu_dies=144,
            rated=f"{ROOM_W} W",
            rated_least=f"{ROOM_W} W",
            rated_most=f"{ROOM_W} W",
        )
        lines = [{"line": 1, "sku": "rack", "sku_version": 1, "quantity": 4}]
        self.desk.do(
            "order place", deal=deal, order="O1", buyer="dep", seller="x", lines=lines
        )
        mine["ordered"] = 4

    @rule(deal=busy, tranche=tranches)
    def unlock(self, deal: str, tranche: str) -> None:
        """Unlock a tranche: only while its capacity stands certified."""
        ok = self.may_unlock(deal, tranche)
        if self.attempt(ok, "funding unlock", deal, tranche=tranche):
            self.model[deal]["unlocked"][tranche] = SIZE

    @rule(deal=busy, tranche=tranches, amount=millions)
    def request(self, deal: str, tranche: str, amount: int) -> None:
        """Request a drawdown out of one tranche."""
        self.request_one(deal, tranche, amount)

    def request_one(self, deal: str, tranche: str, amount: int) -> str | None:
        """Request a drawdown, or try to; its name where it is accepted."""
        mine = self.model[deal]
        self.count += 1
        name = f"D{self.count}"
        ok = (
            self.may_draw(deal)
            and amount <= self.available(deal)
            and amount <= mine["unlocked"][tranche] - self.drawn(deal, tranche)
        )
        keys = {
            "drawdown": name,
            "facility": "main",
            "allocations": [{"tranche": tranche, "amount": f"{amount}m USD"}],
            "value_on": "2026-02-01",
            "actor": "rita@dep",
        }
        if self.attempt(ok, "funding request-drawdown", deal, **keys):
            mine["draws"][name] = [tranche, amount, "requested"]
            return name
        return None

    @precondition(lambda self: any(m["draws"] for m in self.model.values()))
    @rule(data=st.data(), by=st.sampled_from(["ann@cap", "rita@cap", "rita@dep"]))
    def approve(self, data: st.DataObject, by: str) -> None:
        """Approve a drawdown: another person, of the provider, within what is free."""
        self.approve_one(*self.some_draw(data), by)

    def approve_one(self, deal: str, name: str, by: str) -> None:
        """Approve one drawdown, or try to."""
        draw = self.model[deal]["draws"][name]
        ok = (
            by == "ann@cap"
            and draw[2] == "requested"
            and self.may_draw(deal)
            and draw[1] <= self.available(deal)
            and draw[1]
            <= self.model[deal]["unlocked"][draw[0]] - self.drawn(deal, draw[0])
        )
        if self.attempt(ok, "funding approve-drawdown", deal, drawdown=name, actor=by):
            draw[2] = "approved"

    @precondition(lambda self: any(m["draws"] for m in self.model.values()))
    @rule(data=st.data(), by=st.sampled_from(["ann@cap", "ian@cap"]))
    def pay(self, data: st.DataObject, by: str) -> None:
        """Instruct the payment, and settle it."""
        self.pay_one(*self.some_draw(data), by)

    def pay_one(self, deal: str, name: str, by: str) -> None:
        """Pay one drawdown, or try to."""
        draw = self.model[deal]["draws"][name]
        used = self.total(deal, "approved", "settled")
        ok = (
            draw[2] == "approved"
            and by == "ian@cap"
            and self.may_draw(deal)
            and used <= sum(self.model[deal]["unlocked"].values())
        )
        if not self.attempt(ok, "funding instruct", deal, drawdown=name, actor=by):
            return
        keys = {"amount": f"{draw[1]}m USD", "value_on": "2026-01-15"}
        keys |= {"bank_ref": name, "evidence": EVIDENCE["bank_confirmation"]}
        keys |= {"drawdown": name, "actor": "sue@cap"}
        self.attempt(True, "funding settle", deal, **keys)
        draw[2] = "settled"

    # The fleet.
    @rule(deal=deals, serial=serials)
    def allocate(self, deal: str, serial: str) -> None:
        """Register a serial: once, whatever the deal."""
        ok = bool(self.model[deal]["ordered"]) and serial not in self.systems
        keys = {"order": "O1", "line": 1, "systems": [serial]}
        if self.attempt(ok, "order allocate", deal, **keys):
            self.systems[serial] = {"deal": deal, "step": -1, "certificate": None}

    @precondition(lambda self: bool(self.systems))
    @rule(data=st.data(), steps=st.integers(1, 6), skip=st.booleans())
    def advance(self, data: st.DataObject, steps: int, skip: bool) -> None:
        """Take a system some steps on; a step left out is refused."""
        serial = data.draw(st.sampled_from(sorted(self.systems)))
        for _ in range(steps):
            self.step_on(serial, skip=skip)

    def step_on(self, serial: str, *, skip: bool) -> None:
        """Take a system one step on, or try to leave one out."""
        system = self.systems[serial]
        step = system["step"] + 1 + skip
        if step >= len(STEPS) or STEPS[step] == "tested":
            step = system["step"] + 1
        if step >= len(STEPS):
            return
        number = SERIALS.index(serial)
        keys: dict[str, Any] = [
            {"command": "system ship", "shipment": "S1"},
            {"command": "system receive", "site": "site"},
            {"command": "system install", "hall": "h1", "place": f"p{number}"},
            {"command": "system energise", "feed": "f1", "measured": f"{ROOM_W} W"},
            {
                "command": "system test",
                "suite": "burn-in",
                "suite_version": "1",
                "soak_hours": 72,
                "passed": True,
                "actor": "tom@dep",
            },
            {"command": "system accept", "rated": f"{ROOM_W} W", "actor": "amy@dep"},
        ][step]
        keys.setdefault("actor", "ivy@dep")
        ok = step == system["step"] + 1
        if self.attempt(ok, deal=system["deal"], system=serial, **keys):
            system["step"] = step

    # The certificates.
    @rule(deal=busy)
    def certify(self, deal: str) -> None:
        """Certify every accepted system that no certificate counts yet."""
        free = [
            serial
            for serial, system in sorted(self.systems.items())
            if system["deal"] == deal
            and STEPS[system["step"]] == "accepted"
            and system["step"] >= 0
            and system["certificate"] is None
        ]
        self.count += 1
        name = f"C{self.count}"
        ok = bool(free) and self.model[deal]["state"] == "in_effect"
        draft = {"certificate": name, "systems": free, "accepted_by": "2026-01-15"}
        if not free or not self.attempt(ok, "certificate draft", deal, **draft):
            return
        evidence = EVIDENCE["engineer_certificate"]
        self.desk.do(
            "certificate issue",
            deal=deal,
            certificate=name,
            actor="eve@engineer",
            evidence=evidence,
        )
        for actor in ("ann@cap", "bob@dep"):
            self.desk.do(
                "certificate countersign", deal=deal, certificate=name, actor=actor
            )
        self.desk.do("certificate bring-into-effect", deal=deal, certificate=name)
        self.model[deal]["certificates"][name] = free
        for serial in free:
            self.systems[serial]["certificate"] = name

    @precondition(lambda self: any(m["certificates"] for m in self.model.values()))
    @rule(data=st.data(), doubt=st.integers(0, 2))
    def revoke(self, data: st.DataObject, doubt: int) -> None:
        """Revoke a certificate: always allowed; what it unlocked is locked again."""
        if doubt:
            return  # Often enough to be overfunded, seldom enough to be funded first.
        some = [
            (deal, name)
            for deal in DEALS
            for name in sorted(self.model[deal]["certificates"])
        ]
        deal, name = data.draw(st.sampled_from(some))
        keys = {"certificate": name, "ground": "A doubt", "actor": "eve@engineer"}
        self.attempt(True, "certificate revoke", deal, **keys)
        mine = self.model[deal]
        for serial in mine["certificates"].pop(name):
            self.systems[serial]["certificate"] = None
        for number, tranche in enumerate(TRANCHES, start=1):
            if self.certified(deal) < number * ROOM_W:
                mine["unlocked"][tranche] = 0

    # Corrections.
    @rule(data=st.data(), amount=millions)
    def take_back(self, data: st.DataObject, amount: int) -> None:
        """Reverse a request that was not approved, or a payment that was booked."""
        if not any(mine["draws"] for mine in self.model.values()):
            self.draw_down(DEALS[0], amount)
        if not any(mine["draws"] for mine in self.model.values()):
            return
        deal, name = self.some_draw(data)
        draw = self.model[deal]["draws"][name]
        requested = draw[2] == "requested"
        wanted = {
            "requested": ("funding.drawdown_requested",),
            "approved": ("funding.drawdown_approved",),
            "settled": (
                "funding.disbursement_instructed",
                "funding.disbursement_settled",
            ),
        }[draw[2]]
        positions = [
            item.id
            for item in self.desk.store.select_notifications(1, 10_000, topics=wanted)
            if decode(item.state).data.drawdown == name
        ]
        # Of those, the last: what was reversed before may have been recorded again.
        positions = positions[-len(wanted) :]
        keys = {"positions": positions, "reason": "A slip", "with_reliant": True}
        if not self.attempt(True, "reverse request", deal, **keys):
            return
        reversals = self.desk.ledger.streams("reversal", deal)
        latest = f"R-{len(list(reversals))}"
        self.attempt(False, "reverse approve", deal, reversal=latest)
        keys = {"reversal": latest, "actor": "max@audit"}
        self.attempt(True, "reverse approve", deal, **keys)
        if requested:
            del self.model[deal]["draws"][name]
        else:
            draw[2] = "requested" if draw[2] == "approved" else "approved"

    # The model's own arithmetic.
    def some_draw(self, data: st.DataObject) -> tuple[str, str]:
        """One of the drawdowns of any deal."""
        some = [(deal, name) for deal in DEALS for name in self.model[deal]["draws"]]
        return data.draw(st.sampled_from(some))

    def may_unlock(self, deal: str, tranche: str) -> bool:
        """Whether a tranche is locked, and its capacity certified."""
        mine = self.model[deal]
        threshold = (TRANCHES.index(tranche) + 1) * ROOM_W
        return (
            mine["facility"]
            and mine["state"] == "in_effect"
            and self.certified(deal) >= threshold
            and not mine["unlocked"][tranche]
        )

    def certified(self, deal: str) -> int:
        """Certified watts."""
        return ROOM_W * sum(map(len, self.model[deal]["certificates"].values()))

    def total(self, deal: str, *states: str) -> int:
        """Drawdowns in these states, in millions."""
        draws = self.model[deal]["draws"].values()
        return sum(amount for _, amount, state in draws if state in states)

    def drawn(self, deal: str, tranche: str) -> int:
        """What is approved or paid out of a tranche."""
        draws = self.model[deal]["draws"].values()
        return sum(a for t, a, state in draws if t == tranche and state != "requested")

    def available(self, deal: str) -> int:
        """What may be drawn."""
        unlocked = sum(self.model[deal]["unlocked"].values())
        return unlocked - self.total(deal, "approved", "settled")

    def may_draw(self, deal: str) -> bool:
        """Whether draws are open: in effect, not suspended, not overfunded."""
        mine = self.model[deal]
        unlocked = sum(mine["unlocked"].values())
        return (
            mine["facility"]
            and mine["state"] == "in_effect"
            and not mine["suspended"]
            and self.total(deal, "settled") <= unlocked
        )

    @invariant()
    def standing_is_the_models(self) -> None:
        """The standing shows just what the model holds, rung by rung."""
        for deal in DEALS:
            if self.model[deal]["state"] != "none":
                self.compare_standing(deal)

    def compare_standing(self, deal: str) -> None:
        """One deal's fifteen rungs."""
        mine = self.model[deal]
        bound = mine["state"] == "in_effect"
        announced = mine["state"] != "draft"
        paid = self.total(deal, "settled")
        approved = self.total(deal, "approved") + paid
        funding = {
            "announced": CAP if announced else 0,
            "committed": CAP if bound else 0,
            "unlocked": sum(mine["unlocked"].values()),
            "requested": self.total(deal, "requested") + approved,
            "approved": approved,
            "disbursed": paid,
        }
        reached = [s["step"] for s in self.systems.values() if s["deal"] == deal]
        capacity = {
            "announced": 4 * ROOM_W if announced else 0,
            "committed": 4 * ROOM_W if bound else 0,
            "ordered": mine["ordered"] * ROOM_W,
            "certified": self.certified(deal),
        }
        for step, rung in enumerate(STEPS):
            if rung != "tested":
                capacity[rung] = ROOM_W * sum(1 for at in reached if at >= step)
        with self.views.reading() as reading:
            book = reading.book(deal, STANDING, COMMITMENT, DISTANCE)
            drawn = STANDING.draw(book)
            positions = COMMITMENT.draw(book).rows
            waiting = DISTANCE.draw(book).rows
        rows = {
            (row.ladder, row.undertaking, row.rung): (row.quantity, row.unit)
            for row in drawn.rows
        }
        assert len(rows) == len(drawn.rows)
        named = "main" if mine["facility"] else ""
        expected = {
            ("funding", "" if rung == "announced" else named, rung): (
                f"{amount * 10**6}.00",
                "USD",
            )
            for rung, amount in funding.items()
        }
        expected |= {
            ("capacity", "", rung): (str(watts), "W")
            for rung, watts in capacity.items()
        }
        assert rows == expected, deal
        assert drawn.about.state == (
            "suspended" if mine["suspended"] else mine["state"]
        )
        self.compare_flags(deal, drawn.about.flags)
        self.compare_doors(deal, positions, waiting)

    def compare_flags(self, deal: str, flags: list[str]) -> None:
        """A rung exceeds the one below it only where a flag says why."""
        unlocked = sum(self.model[deal]["unlocked"].values())
        paid = self.total(deal, "settled")
        asked = self.total(deal, "requested", "approved", "settled")
        assert ("overfunded" in flags) is (paid > unlocked)
        assert ("requests_exceed_unlocked" in flags) is (asked > max(unlocked, paid))
        assert "systems_out_of_service" not in flags

    def compare_doors(
        self, deal: str, positions: list[Any], waiting: list[Any]
    ) -> None:
        """Available is what may be drawn now; ready is what may be unlocked now."""
        mine = self.model[deal]
        room = any(
            mine["unlocked"][tranche] > self.drawn(deal, tranche)
            for tranche in TRANCHES
        )
        may = max(0, self.available(deal)) if room and self.may_draw(deal) else 0
        said = {row.facility: row.available for row in positions}
        assert said == ({"main": f"{may * 10**6}.00"} if mine["facility"] else {})
        ready = {row.tranche: row.ready for row in waiting}
        assert ready == {
            tranche: self.may_unlock(deal, tranche)
            for tranche in (TRANCHES if mine["facility"] else ())
            if not mine["unlocked"][tranche]
        }


Partnership.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestPartnership = Partnership.TestCase
