"""How a history begins: a deal set up in one of many ways, as batches of lines."""

from __future__ import annotations

import random
from typing import Any

Line = dict[str, Any]
DEAL, OTHER = "acme-orion", "beta-orion"
ANN, IAN, SUE = "ann@acme", "ian@acme", "sue@acme"
BO, AMY, IVA, TOM = "bo@orion", "amy@orion", "iva@orion", "tom@orion"
EVE = "eve@engineers"
SIGNED = [{"title": "The agreement", "kind": "signed_agreement"}]
PAPER = [{"title": "The certificate", "kind": "engineer_certificate"}]
BANK = [{"title": "Bank confirmation", "kind": "bank_confirmation"}]
SKU = {
    "sku": "rack",
    "sku_version": 1,
    "manufacturer": "maker",
    "title": "Rack",
    "gpu_packages": 72,
    "gpu_dies": 144,
    "rated": "100 kW",
    "rated_least": "90 kW",
    "rated_most": "110 kW",
}
MILLION = {"USD": "m USD", "EUR": "m EUR", "JPY": "m JPY"}


def line(
    command: str, on: str, actor: str = ANN, deal: str = DEAL, **keys: Any
) -> Line:
    """A batch line."""
    return {
        "command": command,
        "deal": deal,
        "actor": actor,
        "effective_on": on,
        **keys,
    }


def prefix(chance: random.Random) -> list[list[Line]]:
    """Batches that set a deal up, each told in one transaction."""
    batches = [_paper(chance), _fleet(chance), _money(chance)]
    if chance.random() < 0.7:
        batches.append(_certificate(chance))
    if chance.random() < 0.5:
        batches.append(_books(chance))
    if chance.random() < 0.25:
        batches.append(_other(chance))
    return batches


def _terms(chance: random.Random) -> dict[str, Any]:
    basis = chance.choice(("rated", "rated", "rated", "critical_it", "facility"))
    terms: dict[str, Any] = {"capacity_basis": basis}
    if basis != "rated":
        terms["overhead_ratio"] = chance.choice(("1.20", "1.07", "1.333"))
        terms["pue"] = chance.choice(("1.25", "1.13", "1.117"))
    if chance.random() < 0.25:
        terms["unlock_basis"] = "current"
    if chance.random() < 0.5:
        terms["capacity_floor"] = chance.choice(("400 kW", "1 MW"))
    if chance.random() < 0.3:
        terms["funding_cap"] = "500m USD"
    if chance.random() < 0.3:
        terms["notice_business_days"] = chance.choice((1, 2, 5))
    return terms


def _paper(chance: random.Random) -> list[Line]:
    """The agreement: opened, perhaps a letter first, conditions, signed, in effect."""
    lines = [
        line(
            "agreement open",
            "2025-01-01",
            title="Acme and Orion",
            capital=["acme"],
            capacity=["orion"],
        )
    ]
    terms = _terms(chance)
    both = {"signatories": ["acme", "orion"]}
    if chance.random() < 0.3:
        loi = {"capacity_floor": "2 MW", "funding_cap": "900m USD"}
        lines.append(line("agreement sign-loi", "2025-01-03", terms=loi, **both))
    lines += _conditions(chance)
    lines.append(
        line(
            "agreement sign-definitive",
            "2025-01-10",
            terms=terms,
            evidence=SIGNED,
            **both,
        )
    )
    if chance.random() < 0.95:
        lines.append(line("agreement bring-into-effect", "2025-01-15"))
    if chance.random() < 0.5:
        lines += _milestone(chance)
    return lines


def _conditions(chance: random.Random) -> list[Line]:
    lines = []
    define = "agreement define-condition"
    if chance.random() < 0.4:
        keys = {"condition": "board", "text": "The board", "waivable_by": "acme"}
        lines.append(line(define, "2025-01-04", **keys))
        how = chance.choice(("satisfy", "waive"))
        lines.append(
            line(f"agreement {how}-condition", "2025-01-08", condition="board")
        )
    if chance.random() < 0.35:
        keys = {"condition": "permit", "text": "A permit", "waivable_by": "acme"}
        stop = {"long_stop_on": "2025-08-15"} if chance.random() < 0.4 else {}
        scope = chance.choice(("tranche", "draw", "draw"))
        lines.append(line(define, "2025-01-05", scope=scope, **keys, **stop))
        if chance.random() < 0.5:
            permit = {"condition": "permit"}
            lines.append(line("agreement satisfy-condition", "2025-01-09", **permit))
    return lines


def _milestone(chance: random.Random) -> list[Line]:
    keys = {"title": "Inference", "track": "hardware", "owner": "orion"}
    lines = [
        line(
            "milestone propose",
            "2025-01-16",
            milestone="m1",
            target_on=chance.choice(("2025-06-20", "2025-12-31")),
            **keys,
        )
    ]
    who = [ANN, BO][: chance.choice((0, 1, 2, 2, 2))]
    lines += [
        line("milestone agree", f"2025-01-{18 + n}", actor, milestone="m1")
        for n, actor in enumerate(who)
    ]
    return lines


def _fleet(chance: random.Random) -> list[Line]:
    """An order, and racks as far as each has come."""
    lines = [line("sku define", "2025-01-20", **SKU)]
    quantity = chance.choice((3, 4, 4, 5))
    asked = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": quantity}
    keys = {"order": "PO-1", "buyer": "orion", "seller": "maker"}
    lines.append(line("order place", "2025-02-01", lines=[asked], **keys))
    systems = [f"maker/R{n}" for n in range(1, chance.choice((3, 3, 4)) + 1)]
    systems = systems[:quantity]
    keys = {"order": "PO-1", "line": 1, "systems": systems}
    lines.append(line("order allocate", "2025-02-01", **keys))
    for number, system in enumerate(systems):
        lines += life(system)[: 6 if number < 2 else chance.randint(0, 6)]
    return lines


def life(system: str, rated: str | None = None) -> list[Line]:
    """The steps of a rack's life."""
    test = {"suite": "burn-in", "suite_version": "1", "soak_hours": 72, "passed": True}
    place = {"hall": "h1", "place": system.partition("/")[2]}
    power = {"feed": "F1", "measured": "99 kW"}
    accept = {"rated": rated} if rated else {}
    keys = {"system": system}
    return [
        line("system ship", "2025-03-01", IVA, shipment="S1", **keys),
        line("system receive", "2025-03-05", IVA, site="site", **keys),
        line("system install", "2025-03-07", IVA, **place, **keys),
        line("system energise", "2025-03-09", IVA, **power, **keys),
        line("system test", "2025-03-14", TOM, **test, **keys),
        line("system accept", "2025-03-15", AMY, **accept, **keys),
    ]


def leaf(chance: random.Random) -> Line:
    """The end of a trigger."""
    watts = chance.choice((100, 120, 200, 300))
    certified = {"when": "capacity_certified", "at_least": f"{watts} kW"}
    price = {"when": "price_at_least", "instrument": "ACME", "price": "20.00 USD"}
    return chance.choice(
        (
            certified,
            certified,
            certified,
            {"when": "agreement_in_effect"},
            {"when": "date_reached", "on": f"2025-0{chance.choice((3, 6, 7, 8))}-15"},
            {"when": "milestone_achieved", "milestone": "m1"},
            {"when": "condition_met", "condition": "permit"},
            {"when": "attested", "label": "panel"},
            {"when": "corporate_event", "kind": "listing"},
            {**price, "days": chance.choice((1, 5)), "method": "close"},
            {"when": "capacity_purchased", "at_least": "400 kW"},
            {
                "when": "capacity_purchased",
                "at_least": "300 kW",
                "earning_parties": [chance.choice(("orion", "acme"))],
            },
            {**certified, "basis": chance.choice(("rated", "facility"))},
        )
    )


def tree(chance: random.Random) -> Line:
    """A trigger: an end, or some of them under all or any."""
    if chance.random() < 0.6:
        return leaf(chance)
    branch = {"when": chance.choice(("all", "any"))}
    return {**branch, "of": [leaf(chance) for _ in range(chance.choice((2, 2, 3)))]}


def formula(chance: random.Random, size: int, unit: str, number: int) -> Line:
    """How much a tranche of a size in millions unlocks.

    In about half of the facilities more than one tranche is paid by capacity.
    """
    money = MILLION[unit]
    kinds = ["fixed", "fixed", "less"]
    if number == 1 or chance.random() < 0.45:
        kinds += ["step", "linear"]
    match chance.choice(kinds):
        case "fixed":
            return {"rule": "fixed", "amount": f"{size}{money}"}
        case "less":
            return {"rule": "fixed", "amount": f"{size - 3}{money}"}
        case rule:
            return by_capacity(rule, size, unit)


def by_capacity(rule: str, size: int, unit: str) -> Line:
    """A formula that pays by capacity, of a size in millions."""
    money = MILLION[unit]
    if rule == "step":
        amount = f"{size // 2 + 1}{money}"  # The second block is cut to the size.
        return {"rule": "step", "block": "100 kW", "amount": amount}
    return {"rule": "linear", "per": "300 kW", "amount": f"{size + 1}{money}"}


def tranche(
    chance: random.Random, name: str, facility: str, number: int, unit: str, on: str
) -> Line:
    """A tranche of a facility as a line."""
    size = chance.choice((10, 20, 30))
    keys: Line = {
        "formula": formula(chance, size, unit, number),
        "trigger": tree(chance),
    }
    if chance.random() < 0.2:
        keys["expires_on"] = chance.choice(("2025-06-10", "2025-07-01", "2025-12-31"))
    return line(
        "funding define-tranche",
        on,
        tranche=name,
        facility=facility,
        number=number,
        size=f"{size}{MILLION[unit]}",
        **keys,
    )


def facility(
    chance: random.Random, name: str, unit: str, on: str, deal: str = DEAL
) -> Line:
    """A facility as a line."""
    keys: Line = {"commitment": f"{chance.choice((100, 120))}{MILLION[unit]}"}
    if chance.random() < 0.2:
        keys["available_to"] = chance.choice(("2025-06-20", "2025-09-30"))
    if chance.random() < 0.1:
        keys["available_from"] = "2025-06-10"
    if chance.random() < 0.25:
        keys["in_sequence"] = True
    return line(
        "funding define-facility",
        on,
        deal=deal,
        facility=name,
        provider="acme",
        recipient="orion",
        instrument=chance.choice(("equity", "equity", "loan")),
        **keys,
    )


def _money(chance: random.Random) -> list[Line]:
    """One or two facilities with their tranches, the first one easy to unlock."""
    lines = [facility(chance, "main", "USD", "2025-01-20")]
    alike = chance.random() < 0.35  # Tranches that share the same certified watts.
    rule = chance.choice(("step", "linear"))
    for number in range(1, chance.choice((2, 3, 3)) + 1):
        one = tranche(chance, f"T{number}", "main", number, "USD", "2025-01-20")
        if alike:
            one["formula"] = by_capacity(rule, 10 * number, "USD")
        if (number == 1 or alike) and chance.random() < 0.75:
            one["trigger"] = {"when": "capacity_certified", "at_least": "100 kW"}
        lines.append(one)
    if chance.random() < 0.6:
        unit = chance.choice(("EUR", "EUR", "JPY", "USD"))
        name = chance.choice(("aux", "zeta"))
        lines.append(facility(chance, name, unit, "2025-01-21"))
        for number in range(1, chance.choice((1, 2)) + 1):
            made = tranche(chance, f"E{number}", name, number, unit, "2025-01-21")
            if number == 1 and chance.random() < 0.7:
                made["trigger"] = {"when": "agreement_in_effect"}
            lines.append(made)
    return lines


def _certificate(chance: random.Random) -> list[Line]:
    """A certificate over the first racks, in most histories as far as its effect."""
    systems = ["maker/R1", "maker/R2"][: chance.choice((1, 2))]
    draft = {"systems": systems, "accepted_by": "2025-03-31"}
    steps = [
        line("certificate draft", "2025-04-01", certificate="C-1", **draft),
        line("certificate issue", "2025-04-02", EVE, certificate="C-1", evidence=PAPER),
        line("certificate countersign", "2025-04-03", ANN, certificate="C-1"),
        line("certificate countersign", "2025-04-04", BO, certificate="C-1"),
        line("certificate bring-into-effect", "2025-04-05", certificate="C-1"),
    ]
    return steps[: chance.choice((1, 2, 3, 4, 5, 5, 5, 5))]


def _books(chance: random.Random) -> list[Line]:
    """A period over all that the prefix tells, closed in most histories that have it."""
    span = {"begins_on": "2025-01-01", "ends_on": "2025-05-31"}
    lines = [line("period open", "2025-01-16", period="early", **span)]
    if chance.random() < 0.7:
        lines.append(line("period close", "2025-06-01", period="early"))
    return lines


def _other(chance: random.Random) -> list[Line]:
    """A second deal beside the first, small and without racks."""
    lines = [
        line(
            "agreement open",
            "2025-02-01",
            "ann@acme",
            OTHER,
            title="Beta",
            capital=["acme"],
            capacity=["orion"],
        ),
        line(
            "agreement sign-definitive",
            "2025-02-02",
            deal=OTHER,
            signatories=["acme", "orion"],
            terms={"capacity_basis": "rated"},
            evidence=SIGNED,
        ),
        line("agreement bring-into-effect", "2025-02-03", deal=OTHER),
        facility(chance, "main", "EUR", "2025-02-04", OTHER),
    ]
    one = tranche(chance, "T1", "main", 1, "EUR", "2025-02-04")
    one["trigger"] = {"when": "agreement_in_effect"}
    return [*lines, {**one, "deal": OTHER}]
