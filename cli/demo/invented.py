"""A deal of any size, made up: `accord demo ten-gigawatts --racks N`.

FICTION, all of it: no party, site, rack or payment is real. The same racks and seed give
the same commands. Racks come in waves; of each hundred, five are entered up to ninety
days late, some fail a test, some break, and a few never work.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

Line = dict[str, Any]

NAME: Final = "ten-gigawatts"
CAPITAL: Final = "borealis-fund"
CAPACITY: Final = "quillon-halls"
MAKER: Final = "tesserine"
RACK_KW: Final = 200
WAVE: Final = 500
"""Racks that are ordered, shipped and certified together."""
PER_SITE: Final = 20_000
TRANCHES: Final = 10
CHUNK: Final = 1000
"""Commands, at least, that are recorded at once."""
FIRST_DAY: Final = date(2023, 1, 9)
SPAN_DAYS: Final = 1100
"""Days from the first wave to the last, whatever the number of waves."""
ANN, IAN, SUE = (f"{name}@{CAPITAL}" for name in ("a.lund", "i.moss", "s.reyes"))
BO, IVA, TOM, AMY = (
    f"{name}@{CAPACITY}" for name in ("b.okafor", "i.vance", "t.holm", "a.quist")
)
EVE: Final = "e.stone@measure-and-co"
SIGNED: Final = [{"title": "Invented agreement", "kind": "signed_agreement"}]
PAPER: Final = [{"title": "Invented certificate", "kind": "engineer_certificate"}]
BANK: Final = [{"title": "Invented bank statement", "kind": "bank_confirmation"}]
STEPS: Final = (
    ("ship", 20, IVA),
    ("receive", 25, IVA),
    ("install", 30, IVA),
    ("energise", 35, BO),
    ("test", 40, TOM),
    ("accept", 45, AMY),
)
"""A rack's life: the step, the day of its wave on which it happens, and by whom."""


class Chunk(NamedTuple):
    """Commands that are recorded at once, under an id; how far that is, of how much."""

    command_id: str
    lines: list[Line]
    done: int
    total: int


def deal_names(deals: int) -> list[str]:
    """The names of so many deals side by side."""
    return [NAME, *(f"{NAME}-{number}" for number in range(2, deals + 1))]


def chunks(racks: int, seed: int, deals: int) -> Iterator[Chunk]:
    """All commands of all deals, in the order in which they are to be recorded."""
    for number, name in enumerate(deal_names(deals), start=1):
        mine = racks // deals + (number <= racks % deals)
        if mine:
            made = _Deal(name, number, mine, seed)
            stem = f"{name}-{mine}-{seed}"
            for count, (lines, done, total) in enumerate(made.together()):
                yield Chunk(f"{stem}/{count}", lines, done, total)


class _Deal:
    """One deal: a calendar of what is recorded when, taken day by day."""

    def __init__(self, name: str, number: int, racks: int, seed: int) -> None:
        self.name = name
        self._prefix = f"{MAKER}/D{number}"
        self._racks = racks
        self._seed = seed
        self._waves = -(-racks // WAVE)
        self._certified_w = 0
        self._unlocked = 0
        # What is recorded on a day, in order: the day, a number, what, of which wave.
        self._calendar: list[tuple[date, int, str, int]] = []
        self._count = 0
        for wave in range(self._waves):
            begins = self._begins(wave)
            for what, after in (("order", 0), *((s, d) for s, d, _ in STEPS)):
                self._note(begins + timedelta(after), what, wave)
            for what, after in (("certify", 60), ("break", 70), ("mend", 80)):
                self._note(begins + timedelta(after), what, wave)
            chance = self._chance(wave, "late")
            self._note(begins + timedelta(45 + chance.randint(1, 90)), "late", wave)

    def together(self) -> Iterator[tuple[list[Line], int, int]]:
        """Lists of at least a chunk's commands, but for the last."""
        lines, done = self._opening(), 0
        while self._calendar:
            day, _, what, wave = heapq.heappop(self._calendar)
            done += 1
            made = getattr(self, f"_{what}")(day, wave)
            for line in made:
                line.setdefault("effective_on", day.isoformat())
            lines += made
            if len(lines) >= CHUNK:
                yield self._named(lines), done, done + len(self._calendar)
                lines = []
        if lines:
            yield self._named(lines), done, done

    def _named(self, lines: list[Line]) -> list[Line]:
        return [{"deal": self.name, **line} for line in lines]

    def _note(self, day: date, what: str, wave: int) -> None:
        self._count += 1
        heapq.heappush(self._calendar, (day, self._count, what, wave))

    def _begins(self, wave: int) -> date:
        return FIRST_DAY + timedelta(60 + SPAN_DAYS * wave // self._waves)

    def _chance(self, wave: int, what: str) -> random.Random:
        return random.Random(f"{self._seed}/{self.name}/{wave}/{what}")  # noqa: S311 - a game

    def _members(self, wave: int) -> range:
        return range(wave * WAVE, min(self._racks, (wave + 1) * WAVE))

    def _serial(self, rack: int) -> str:
        return f"{self._prefix}-{rack:07d}"

    def _share(self, wave: int, what: str, percent: float) -> list[int]:
        """Some of a wave's racks, always the same ones."""
        members = self._members(wave)
        many = round(len(members) * percent / 100)
        return sorted(self._chance(wave, what).sample(members, many))

    def _is_late(self, wave: int) -> frozenset[int]:
        return frozenset(self._share(wave, "late", 5))

    def _rejected(self, wave: int) -> list[int]:
        late = self._is_late(wave)
        return [rack for rack in self._share(wave, "reject", 0.4) if rack not in late]

    # What is recorded.
    def _opening(self) -> list[Line]:
        """The agreement, its terms, its money and its plan."""
        first = FIRST_DAY.isoformat()
        terms = {
            "capacity_floor": f"{self._racks * RACK_KW} kW",
            "capacity_basis": "rated",
            "funding_cap": "100bn USD",
            "accepting_party": CAPACITY,
        }
        parties = [CAPITAL, CAPACITY]
        sku = {
            "sku": "rack",
            "manufacturer": MAKER,
            "title": "Invented rack",
            "gpu_packages": 72,
            "gpu_dies": 144,
            "rated": f"{RACK_KW} kW",
            "rated_least": f"{RACK_KW - 20} kW",
            "rated_most": f"{RACK_KW + 20} kW",
        }
        facility = {
            "facility": "main",
            "provider": CAPITAL,
            "recipient": CAPACITY,
            "instrument": "loan",
            "commitment": "100bn USD",
        }
        title = "Ten gigawatts, invented"
        opened = {"title": title, "capital": [CAPITAL], "capacity": [CAPACITY]}
        lines: list[Line] = [
            {"command": "agreement open", **opened, "fictional": True},
            {"command": "agreement sign-loi", "signatories": parties, "terms": terms},
            {
                "command": "agreement sign-definitive",
                "signatories": parties,
                "terms": terms,
                "evidence": SIGNED,
            },
            {"command": "agreement bring-into-effect"},
            {"command": "plan baseline", "points": self._plan()},
            {"command": "sku define", **sku},
            {"command": "funding define-facility", **facility},
        ]
        lines += [self._tranche(number) for number in range(1, TRANCHES + 1)]
        for line in lines:
            line |= {"actor": ANN, "effective_on": first}
        return lines

    def _plan(self) -> list[Line]:
        """Capacity by month: what the waves are to bring, quarter by quarter."""
        points = []
        for quarter in range(1, 13):
            day = self._begins(0) + timedelta(SPAN_DAYS * quarter // 12 + 60)
            watts = self._racks * RACK_KW * quarter // 12
            points.append({"month": f"{day:%Y-%m}", "capacity": f"{watts} kW"})
        return points

    def _threshold_w(self, number: int) -> int:
        """What is to be certified before a tranche unlocks: nine tenths, in ten steps."""
        return max(1, self._racks * 9 // 10 * number // TRANCHES) * RACK_KW * 1000

    def _tranche(self, number: int) -> Line:
        return {
            "command": "funding define-tranche",
            "tranche": f"T{number:02d}",
            "facility": "main",
            "number": number,
            "size": "10bn USD",
            "trigger": {
                "when": "capacity_certified",
                "at_least": f"{self._threshold_w(number)} W",
            },
            "formula": {"rule": "fixed", "amount": "10bn USD"},
        }

    def _order(self, day: date, wave: int) -> list[Line]:
        serials = [self._serial(rack) for rack in self._members(wave)]
        order = f"PO-{wave + 1:05d}"
        line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": len(serials)}
        placed = {"buyer": CAPACITY, "seller": MAKER, "lines": [line]}
        allocated = {"line": 1, "systems": serials}
        lines: list[Line] = [
            {"command": "order place", "order": order, **placed, "actor": BO},
            {"command": "order allocate", "order": order, **allocated, "actor": BO},
        ]
        if wave % 10 == 0:
            text = f"Wave {wave + 1} of {self._waves} is on order."
            lines.append(self._said(f"wave-{wave + 1}", text, BO, day))
        return lines

    @staticmethod
    def _said(name: str, text: str, actor: str, day: date) -> Line:
        said = {"statement": name, "speaker": actor, "text": text}
        return {
            "command": "agreement record-statement",
            **said,
            "actor": actor,
            "effective_on": day.isoformat(),
        }

    def _step(self, verb: str, racks: Sequence[int], wave: int) -> list[Line]:
        """One step of some racks, on its own day of their wave."""
        after, actor = {step: (day, who) for step, day, who in STEPS}[verb]
        on = (self._begins(wave) + timedelta(after)).isoformat()
        return [
            {
                "command": f"system {verb}",
                "system": self._serial(rack),
                **self._said_of(verb, rack, wave),
                "actor": actor,
                "effective_on": on,
            }
            for rack in racks
        ]

    def _said_of(self, verb: str, rack: int, wave: int) -> Line:
        match verb:
            case "ship":
                return {"shipment": f"SH-{wave + 1:05d}", "carrier": "Invented Lines"}
            case "receive":
                return {"site": f"site-{rack // PER_SITE + 1}"}
            case "install":
                return {"hall": f"hall-{wave + 1:05d}", "place": f"P{rack % WAVE:03d}"}
            case "energise":
                drawn = RACK_KW - self._chance(rack, "drawn").randint(0, 8)
                return {"feed": f"F{wave % 8 + 1}", "measured": f"{drawn} kW"}
            case "test":
                return _TEST | {"passed": True}
        return {}

    def _on_time(self, verb: str, wave: int) -> list[Line]:
        late, rejected = self._is_late(wave), frozenset[int]()
        if verb in {"test", "accept"}:
            rejected = frozenset(self._rejected(wave))
        racks = [one for one in self._members(wave) if one not in late | rejected]
        return self._step(verb, racks, wave)

    def _ship(self, _: date, wave: int) -> list[Line]:
        return self._on_time("ship", wave)

    def _receive(self, _: date, wave: int) -> list[Line]:
        return self._on_time("receive", wave)

    def _install(self, _: date, wave: int) -> list[Line]:
        return self._on_time("install", wave)

    def _energise(self, _: date, wave: int) -> list[Line]:
        return self._on_time("energise", wave)

    def _test(self, day: date, wave: int) -> list[Line]:
        """The tests, with those that failed before, and what was wrong by then."""
        late = self._is_late(wave)
        before = (day - timedelta(2)).isoformat()
        lines: list[Line] = []
        for rack in self._share(wave, "fail", 2):
            if rack not in late:
                failed = _TEST | {"passed": False, "failure": "Link errors"}
                mine = {"command": "system test", "system": self._serial(rack)}
                lines.append({**mine, **failed, "actor": TOM, "effective_on": before})
        for rack in self._share(wave, "exchange", 1):
            if rack not in late:
                tray = {"component": "tray", "old_serial": "T-1", "new_serial": "T-2"}
                mine = {"command": "system replace-component", **tray}
                mine |= {"system": self._serial(rack), "actor": TOM}
                lines.append({**mine, "effective_on": before})
        return lines + self._on_time("test", wave)

    def _accept(self, day: date, wave: int) -> list[Line]:
        """The acceptances; what cannot be accepted goes back to its maker."""
        lines = self._on_time("accept", wave)
        for rack in self._rejected(wave):
            mine = {"system": self._serial(rack), "actor": AMY}
            ground = {"ground": "Does not start"}
            lines.append({"command": "system reject", **mine, **ground})
            back = {"command": "system return", **mine, "ground": "Rejected"}
            lines.append(back | {"effective_on": day.isoformat()})
        return lines

    def _late(self, _: date, wave: int) -> list[Line]:
        """The racks that nobody entered in time: their whole life, at once."""
        racks = sorted(self._is_late(wave))
        return [line for verb, _, _ in STEPS for line in self._step(verb, racks, wave)]

    def _certify(self, day: date, wave: int) -> list[Line]:
        """A certificate over the wave's racks in service, and what it unlocks."""
        out = self._is_late(wave) | frozenset(self._rejected(wave))
        racks = [rack for rack in self._members(wave) if rack not in out]
        if not racks:
            return []
        name = f"C-{wave + 1:05d}"
        drafted = {
            "systems": [self._serial(rack) for rack in racks],
            "accepted_by": (self._begins(wave) + timedelta(45)).isoformat(),
        }
        lines: list[Line] = [
            {"command": "certificate draft", **drafted, "actor": BO},
            {"command": "certificate issue", "actor": EVE, "evidence": PAPER},
            {"command": "certificate countersign", "actor": ANN},
            {"command": "certificate countersign", "actor": BO},
            {"command": "certificate bring-into-effect", "actor": ANN},
        ]
        for line in lines:
            line["certificate"] = name
        self._certified_w += len(racks) * RACK_KW * 1000
        while (
            self._unlocked < TRANCHES
            and self._threshold_w(self._unlocked + 1) <= self._certified_w
        ):
            self._unlocked += 1
            self._note(day + timedelta(1), "unlock", self._unlocked)
            for after, what in enumerate(("request", "approve", "instruct", "settle")):
                self._note(day + timedelta(2 + after), what, self._unlocked)
        return lines

    def _unlock(self, _: date, number: int) -> list[Line]:
        return [
            {"command": "funding unlock", "tranche": f"T{number:02d}", "actor": ANN}
        ]

    def _request(self, day: date, number: int) -> list[Line]:
        asked = {
            "facility": "main",
            "allocations": [{"tranche": f"T{number:02d}", "amount": _DRAWN}],
            "value_on": (day + timedelta(10)).isoformat(),
        }
        return self._drawdowns("request-drawdown", number, BO, asked)

    def _approve(self, _: date, number: int) -> list[Line]:
        return self._drawdowns("approve-drawdown", number, ANN, {})

    def _instruct(self, _: date, number: int) -> list[Line]:
        return self._drawdowns("instruct", number, IAN, {})

    def _settle(self, day: date, number: int) -> list[Line]:
        paid = {"amount": _DRAWN, "value_on": day.isoformat(), "evidence": BANK}
        lines = self._drawdowns("settle", number, SUE, paid)
        return [line | {"bank_ref": f"B-{line['drawdown']}"} for line in lines]

    @staticmethod
    def _drawdowns(verb: str, number: int, actor: str, more: Line) -> list[Line]:
        """A step of the drawdowns of a tranche."""
        return [
            {"command": f"funding {verb}", "drawdown": f"D{number:02d}-{part}"}
            | {"actor": actor, **more}
            for part in range(1, 5)
        ]

    def _broken(self, wave: int) -> list[tuple[int, str]]:
        out = self._is_late(wave) | frozenset(self._rejected(wave))
        kinds = ("quarantine", "quarantine", "send-to-rma", "derate", "decommission")
        racks = [one for one in self._share(wave, "break", 1.5) if one not in out]
        return [
            (rack, kinds[at % len(kinds)]) for at, rack in enumerate(racks, start=wave)
        ]

    def _break(self, _: date, wave: int) -> list[Line]:
        """Racks that were in service and are not, or not as they were."""
        said: dict[str, Line] = {
            "quarantine": {"ground": "Coolant alarm"},
            "send-to-rma": {"rma": f"RMA-{wave + 1}", "ground": "Leak"},
            "derate": {"new": f"{RACK_KW - 10} kW", "reason": "Cooling limit"},
            "decommission": {"ground": "Beyond repair"},
        }
        return [
            {"command": f"system {verb}", "system": self._serial(rack), **said[verb]}
            | {"actor": IVA}
            for rack, verb in self._broken(wave)
        ]

    def _mend(self, _: date, wave: int) -> list[Line]:
        """Those that came back."""
        return [
            {
                "command": "system return-to-service",
                "system": self._serial(rack),
                "actor": IVA,
            }
            for rack, verb in self._broken(wave)
            if verb in {"quarantine", "send-to-rma"}
        ]


_DRAWN: Final = "2.5bn USD"
_TEST: Final[Line] = {"suite": "burn-in", "suite_version": "1", "soak_hours": 72}
