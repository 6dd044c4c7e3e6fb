"""Commands on SKUs: what a kind of system is rated at, in versions."""

from __future__ import annotations

from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.sku import Sku, SkuVersioned
from ledger.domain.values import Id, Power, Slug


def define(
    decision: Decision,
    sku: Annotated[Id, "the SKU"],
    *,
    manufacturer: Annotated[Slug, "who makes it; the first part of its systems' ids"],
    title: Annotated[str, "what it is called"],
    gpu_packages: Annotated[int, "GPU packages per system"],
    gpu_dies: Annotated[int, "GPU dies per system"],
    rated: Annotated[Power, "rated power per system"],
    rated_least: Annotated[Power, "the least rating that may be accepted"],
    rated_most: Annotated[Power, "the highest rating that may be accepted"],
    power_profile: Annotated[str | None, "the profile it is rated at"] = None,
    sku_version: Annotated[int | None, "its number; the next where left out"] = None,
) -> None:
    """Define a version of a SKU; versions never change.

    accord sku define acme-orion vr-nvl72 --manufacturer nvidia --title "Vera Rubin NVL72" --gpu-packages 72 --gpu-dies 144 --rated "190 kW" --rated-least "170 kW" --rated-most "230 kW"
    """
    if sku_version is None:
        sku_version = decision.get(Sku, decision.deal, sku).latest + 1
    decision.record(
        Sku,
        decision.deal,
        sku,
        data=SkuVersioned(
            sku_version=sku_version,
            manufacturer=manufacturer,
            title=title,
            gpu_packages=gpu_packages,
            gpu_dies=gpu_dies,
            rated=rated,
            rated_least=rated_least,
            rated_most=rated_most,
            power_profile=power_profile,
        ),
    )
