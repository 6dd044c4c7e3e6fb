"""Setting up a fleet for a test: a deal, a SKU, an order, systems as far as wanted."""

from __future__ import annotations

from typing import Any

SYSTEM = "nvidia/VR-1"
RATED = "190000 W"
SKU = {
    "sku": "vr-nvl72",
    "manufacturer": "nvidia",
    "title": "Vera Rubin NVL72",
    "gpu_packages": 72,
    "gpu_dies": 144,
    "rated": RATED,
    "rated_least": "170 kW",
    "rated_most": "230 kW",
}
LINE = {"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 4}
# Each step of a system's life: its command, what it says, on which day, by whom.
STEPS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "shipped": ("ship", {"shipment": "SH-1"}, "2025-04-01", "iva@orion"),
    "received": ("receive", {"site": "abilene"}, "2025-04-05", "iva@orion"),
    "installed": (
        "install",
        {"hall": "hall-1", "place": "P01"},
        "2025-04-07",
        "iva@orion",
    ),
    "energised": (
        "energise",
        {"feed": "F1", "measured": "188 kW"},
        "2025-04-09",
        "iva@orion",
    ),
    "tested": (
        "test",
        {"suite": "burn-in", "suite_version": "2", "soak_hours": 72, "passed": True},
        "2025-04-14",
        "tom@orion",
    ),
    "accepted": ("accept", {"rated": RATED}, "2025-04-15", "amy@orion"),
}


def opened(desk: Any, deal: str = "acme-orion", **terms: Any) -> None:
    """A deal between acme, which pays, and orion, which builds; with terms if given."""
    desk.do(
        "agreement open",
        deal=deal,
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )
    if terms:
        desk.do(
            "agreement sign-loi",
            deal=deal,
            signatories=["acme", "orion"],
            terms=terms,
            on="2025-01-02",
        )


def ordered(desk: Any, deal: str = "acme-orion", **terms: Any) -> None:
    """The same, with a SKU and an order PO-1 of four systems."""
    opened(desk, deal, **terms)
    desk.do("sku define", deal=deal, on="2025-02-01", **SKU)
    desk.do(
        "order place",
        deal=deal,
        order="PO-1",
        buyer="orion",
        seller="nvidia",
        lines=[LINE],
        on="2025-03-01",
    )


def allocate(desk: Any, *systems: str, on: str = "2025-03-10", **more: Any) -> Any:
    """Allocate systems to the order's first line."""
    keys = {"order": "PO-1", "line": 1, "systems": systems or [SYSTEM], **more}
    return desk.data("order allocate", on=on, **keys)


def advance(desk: Any, to: str, system: str = SYSTEM, **changed: Any) -> None:
    """Take an allocated system as far as a step; `changed` replaces what steps say."""
    for step in STEPS:
        take(desk, step, system, **changed)
        if step == to:
            return


def take(desk: Any, step: str, system: str = SYSTEM, **changed: Any) -> Any:
    """Take one step of a system's life."""
    return desk.do(**line(step, system, **changed))


def line(step: str, system: str = SYSTEM, **changed: Any) -> dict[str, Any]:
    """One step of a system's life as a batch line; of `changed`, what it knows."""
    verb, keys, on, actor = STEPS[step]
    common = {"on": on, "actor": actor, "deal": "acme-orion"}
    extra = {"status", "evidence", "reason", "test"} if step == "accepted" else set()
    known = {**keys, **common, **dict.fromkeys(extra)}
    given = {key: value for key, value in changed.items() if key in known}
    return {"command": f"system {verb}", "system": system, **keys, **common, **given}
