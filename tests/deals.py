"""Setting up a deal for a test: in effect, with accepted racks of 100 kW, and money.

Acme funds, Orion builds, Eve of the engineers certifies. Money is in millions of USD.
"""

from __future__ import annotations

from typing import Any

RACK_W = 100_000
TERMS = {"capacity_basis": "rated", "funding_cap": "100m USD"}
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
ANN, IAN, SUE = "ann@acme", "ian@acme", "sue@acme"
BO, AMY = "bo@orion", "amy@orion"
EVE = "eve@engineers"
SIGNED = [{"title": "The agreement", "kind": "signed_agreement"}]
PAPER = [{"title": "The certificate", "kind": "engineer_certificate"}]
BANK = [{"title": "Bank confirmation", "kind": "bank_confirmation"}]
REPORTED = [{"title": "A report", "grade": "R"}]
GW = {"when": "capacity_certified", "at_least": "100 kW"}


def batch(desk: Any, *lines: dict[str, Any]) -> None:
    """Carry many commands out in one transaction."""
    requests = [(n, desk.request(**line)) for n, line in enumerate(lines, start=1)]
    desk.ledger.execute_batch(requests)


def signed(desk: Any, **terms: Any) -> None:
    """A definitive agreement that is not in effect yet."""
    batch(
        desk,
        {
            "command": "agreement open",
            "title": "Acme and Orion",
            "capital": ["acme"],
            "capacity": ["orion"],
            "on": "2025-01-01",
        },
        {
            "command": "agreement sign-definitive",
            "signatories": ["acme", "orion"],
            "terms": {**TERMS, **terms},
            "evidence": SIGNED,
            "on": "2025-01-10",
        },
    )


def in_effect(desk: Any, **terms: Any) -> None:
    """An agreement in effect since 15 January 2025."""
    signed(desk, **terms)
    desk.do("agreement bring-into-effect", on="2025-01-15")


def racks(desk: Any, *names: str, to: str = "accept", order: str = "PO-1") -> list[str]:
    """Racks by serial, ordered and taken as far as a step; accepted on 15 April."""
    systems = [f"maker/{name}" for name in names]
    lines = [] if order != "PO-1" else [{"command": "sku define", **SKU}]
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": len(names)}
    place = {"order": order, "buyer": "orion", "seller": "maker", "lines": [line]}
    lines.append({"command": "order place", **place})
    allocate = {"order": order, "line": 1, "systems": systems}
    lines.append({"command": "order allocate", **allocate})
    for given in lines:
        given["on"] = "2025-02-01"
    for system in systems:
        lines += life(system, to)
    batch(desk, *lines)
    return systems


def life(system: str, to: str = "accept") -> list[dict[str, Any]]:
    """The steps of a rack's life, as far as one of them."""
    test = {"suite": "burn-in", "suite_version": "1", "soak_hours": 72, "passed": True}
    steps: list[dict[str, Any]] = [
        {"command": "system ship", "shipment": "S1", "on": "2025-04-01"},
        {"command": "system receive", "site": "site", "on": "2025-04-05"},
        {
            "command": "system install",
            "hall": "h1",
            "place": system.partition("/")[2],
            "on": "2025-04-07",
            "actor": "iva@orion",
        },
        {
            "command": "system energise",
            "feed": "F1",
            "measured": "99 kW",
            "on": "2025-04-09",
        },
        {"command": "system test", **test, "actor": "tom@orion", "on": "2025-04-14"},
        {"command": "system accept", "actor": AMY, "on": "2025-04-15"},
    ]
    verbs = [step["command"].partition(" ")[2] for step in steps]
    return [{**step, "system": system} for step in steps[: verbs.index(to) + 1]]


def certificate(
    name: str, systems: list[str], on: str = "2025-05-01", to: str = "bring-into-effect"
) -> list[dict[str, Any]]:
    """A certificate's life as batch lines, as far as a step."""
    draft = {"systems": systems, "accepted_by": "2025-04-30"}
    steps = [
        {"command": "certificate draft", **draft},
        {"command": "certificate issue", "actor": EVE, "evidence": PAPER},
        {"command": "certificate countersign", "actor": ANN},
        {"command": "certificate countersign", "actor": BO},
        {"command": "certificate bring-into-effect"},
    ]
    verbs = [step["command"].partition(" ")[2] for step in steps]
    last = len(verbs) - verbs[::-1].index(to)
    return [{**step, "certificate": name, "on": on} for step in steps[:last]]


def certify(
    desk: Any, name: str, systems: list[str], on: str = "2025-05-01", **more: Any
) -> None:
    """Bring a certificate over these systems into effect, or as far as a step."""
    batch(desk, *certificate(name, systems, on, **more))


def facility(desk: Any, name: str = "main", **changed: Any) -> None:
    """A facility of 100 million, equity for money, from acme to orion."""
    keys = {
        "provider": "acme",
        "recipient": "orion",
        "instrument": "equity",
        "commitment": "100m USD",
        "on": "2025-01-20",
    }
    desk.do("funding define-facility", facility=name, **{**keys, **changed})


def tranche_line(name: str = "T1", number: int = 1, **changed: Any) -> dict[str, Any]:
    """A tranche of 40 million, at once, for one certified rack; as a batch line."""
    size = changed.get("size", "40m USD")
    return {
        "command": "funding define-tranche",
        "tranche": name,
        "facility": "main",
        "number": number,
        "size": size,
        "trigger": GW,
        "formula": {"rule": "fixed", "amount": size},
        "on": "2025-01-20",
        **changed,
    }


def tranche(desk: Any, name: str = "T1", number: int = 1, **changed: Any) -> None:
    """Define that tranche."""
    desk.do(**tranche_line(name, number, **changed))


def step(block: str, amount: str) -> dict[str, str]:
    """A formula that pays for whole blocks."""
    return {"rule": "step", "block": block, "amount": amount}


def linear(per: str, amount: str) -> dict[str, str]:
    """A formula that pays in proportion."""
    return {"rule": "linear", "per": per, "amount": amount}


def funded(desk: Any, *names: str, **terms: Any) -> list[str]:
    """A deal in effect with racks, a facility and T1 of 40 million for one rack."""
    in_effect(desk, **terms)
    systems = racks(desk, *(names or ("R1", "R2", "R3", "R4")))
    facility(desk)
    return systems


def unlocked(desk: Any, *sizes: str) -> list[str]:
    """A deal with T1, T2, … of these sizes, unlocked by C-1 over the first rack."""
    systems = funded(desk)
    lines = [
        tranche_line(f"T{n}", n, size=size)
        for n, size in enumerate(sizes or ("40m USD",), start=1)
    ]
    lines += certificate("C-1", systems[:1])
    lines += [
        {"command": "funding unlock", "tranche": line["tranche"], "on": "2025-05-02"}
        for line in lines
        if "tranche" in line
    ]
    batch(desk, *lines)
    return systems


def draw(
    name: str = "D1", amount: str = "10m USD", to: str = "settle", **changed: Any
) -> list[dict[str, Any]]:
    """A drawdown's life as batch lines, as far as a step: 10 million of T1."""
    part = {"tranche": changed.pop("tranche", "T1"), "amount": amount}
    ask = {"facility": "main", "allocations": [part], "value_on": "2025-06-10"}
    ask |= {key: changed.pop(key) for key in list(changed) if key in ask}
    paid = {"amount": amount, "value_on": "2025-06-04", "bank_ref": f"FB-{name}"}
    steps: list[dict[str, Any]] = [
        {"command": "funding request-drawdown", **ask, "actor": BO},
        {"command": "funding approve-drawdown", "actor": ANN},
        {"command": "funding instruct", "actor": IAN},
        {"command": "funding settle", **paid, "actor": SUE, "evidence": BANK},
    ]
    verbs = [step["command"].partition(" ")[2] for step in steps]
    return [
        {**step, "drawdown": name, "on": f"2025-06-0{day}", **changed}
        for day, step in enumerate(steps[: verbs.index(to) + 1], start=1)
    ]


def pay(
    desk: Any, name: str = "D1", amount: str = "10m USD", to: str = "settle", **k: Any
) -> None:
    """Take a drawdown as far as a step."""
    batch(desk, *draw(name, amount, to, **k))
