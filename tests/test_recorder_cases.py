"""The recorder test cases of `eventsourcing` itself, on the store, with text ids."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    TrackingRecorderTestCase,
)
from places import POSTGRESQL, SQLITE, address, places

from ledger.record.store import Store, create_store

pytestmark = pytest.mark.pure


class OnFile:
    """Each test on a ledger in a file of its own."""

    kind = SQLITE

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, places, "kind", places.kind)
        places.kind = self.kind
        self.url = address(Path(folder.name) / "accord.db")

    def create_recorder(self) -> Store:
        store, _ = create_store(self.url)
        self.addCleanup(store.close)
        return store

    def new_originator_id(self) -> str:
        return f"test/{uuid4()}"


class OnServer(OnFile):
    """The same in a database of its own on a PostgreSQL server."""

    kind = POSTGRESQL


class TestApplicationRecorder(OnFile, ApplicationRecorderTestCase[Store]):
    """What the library asks of an application's recorder."""

    def test_insert_subscribe(self) -> None:
        """The part that the library leaves to recorders that can be followed."""
        self.optional_test_insert_subscribe()


class TestPositionsDoNotInterleave(OnFile, NonInterleavingNotificationIDsBaseCase):
    """Two long inserts at once: each has positions of its own, in one run."""


class TestTrackingRecorder(OnFile, TrackingRecorderTestCase):
    """What the library asks of a recorder that remembers how far a follower is."""


class TestApplicationRecorderOnServer(OnServer, ApplicationRecorderTestCase[Store]):
    """The same on PostgreSQL."""

    def test_insert_subscribe(self) -> None:
        """The same on PostgreSQL."""
        self.optional_test_insert_subscribe()


class TestPositionsOnServer(OnServer, NonInterleavingNotificationIDsBaseCase):
    """The same on PostgreSQL."""


class TestTrackingRecorderOnServer(OnServer, TrackingRecorderTestCase):
    """The same on PostgreSQL."""
