"""The library's other recorders, measured in an environment of their own.

`python foreign.py LEDGER TARGET BATCH` prints events a second in bulk, and the seconds
of one commit. TARGET is a file, for `eventsourcing-sqlalchemy`, or `HOST DATABASE USER`
in one word, for the library's own PostgreSQL recorder. It imports nothing of accord.
"""

from __future__ import annotations

import sqlite3
import sys
from statistics import median
from time import perf_counter
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.persistence import StoredEvent


def _on_file(target: str) -> Any:
    from eventsourcing_sqlalchemy.datastore import SQLAlchemyDatastore
    from eventsourcing_sqlalchemy.recorders import SQLAlchemyApplicationRecorder

    datastore = SQLAlchemyDatastore(url=f"sqlite:///{target}")
    with datastore.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
    return SQLAlchemyApplicationRecorder(datastore, events_table_name="stored_events")


def _on_server(target: str) -> Any:
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    host, database, user = target.split()
    login = {"host": host, "port": "5432", "user": user, "password": ""}
    datastore = PostgresDatastore(dbname=database, **login)
    return PostgresApplicationRecorder(datastore, events_table_name="stored_events")


def main(ledger: str, target: str, batch: int) -> None:
    """Measure, and print both figures."""
    rows = sqlite3.connect(ledger).execute(
        "SELECT stream, version, type, data FROM events "
        "WHERE stream LIKE 'agreement/bench%' ORDER BY position"
    )
    events = [
        StoredEvent(uuid5(NAMESPACE_URL, stream), version, topic, data)
        for stream, version, topic, data in rows
    ]
    recorder = _on_server(target) if " " in target else _on_file(target)
    recorder.create_table()
    start = perf_counter()
    for first in range(0, len(events), batch):
        recorder.insert_events(events[first : first + batch])
    print(len(events) / (perf_counter() - start))
    took = []
    for number in range(100):
        one = StoredEvent(uuid5(NAMESPACE_URL, f"one/{number}"), 1, "one", b"{}")
        start = perf_counter()
        recorder.insert_events([one])
        took.append(perf_counter() - start)
    print(median(took))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
