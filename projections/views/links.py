"""Which other deals hang on this one, and who holds which rights?"""

from __future__ import annotations

from typing import Final

from ledger.domain.agreement import Agreement, Link, Right
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, View

LINKS: Final = View("links", 2, "Which deals and rights hang on this one?")


class LinkLine(Frozen, omit_defaults=False):
    """A linked deal, or a right and its holder."""

    kind: str
    relation: str
    other: str
    text: str
    binding: bool
    since: str
    until: str | None
    released_on: str | None
    status: str


def linked(book: Book) -> list[dict[str, str]]:
    """The linked deals."""
    return [
        {"relation": link.relation, "deal": link.other, "status": link.status}
        for link in _links_of(book)
    ]


def _links_of(book: Book) -> list[Link]:
    """Every link; one that is only reported, where no other is."""
    agreement = book.get(Agreement)
    known = {**agreement.told.links, **agreement.links}
    return [link for _, link in sorted(known.items())]


def _rights_of(book: Book) -> list[Right]:
    """Every right by its name; one that is only reported, where no other is."""
    agreement = book.get(Agreement)
    known = {**agreement.told.rights, **agreement.rights}
    return [right for _, right in sorted(known.items())]


@LINKS.answer(LinkLine, parts_of(Agreement), key=("kind", "relation", "other"))
def _links(book: Book) -> Drawn:
    return Drawn([*map(_of_link, _links_of(book)), *map(_of_right, _rights_of(book))])


def _of_link(link: Link) -> LinkLine:
    return LinkLine(
        kind="deal",
        relation=link.relation,
        other=link.other,
        text=link.note or "",
        binding=False,
        since=link.since.isoformat(),
        until=None,
        released_on=None,
        status=link.status,
    )


def _of_right(right: Right) -> LinkLine:
    recorded, released_on = right.recorded, right.released_on
    return LinkLine(
        kind="right",
        relation=recorded.kind,
        other=recorded.holder,
        text=recorded.text,
        binding=recorded.binding,
        since=right.since.isoformat(),
        until=recorded.runs_to.isoformat() if recorded.runs_to else None,
        released_on=released_on.isoformat() if released_on else None,
        status=right.status,
    )
