"""What `doctor` asks of a PostgreSQL server: settings, rights, triggers."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.engine import Connection

from ledger.database.dialect import Fact
from ledger.database.tables import WRITTEN_ONCE, head, metadata

OWNER: Final = "accord_owner"
WRITER: Final = "accord_writer"
READER: Final = "accord_reader"
OLDEST: Final = 140000
"""The oldest server that its own makers still look after, as a number: 14.0."""
_SETTINGS: Final = {
    "fsync": "a crash of the machine may lose what was acknowledged, or damage the rest",
    "full_page_writes": "a crash in the middle of a write may damage the record",
}
_WRITES: Final = "UPDATE, DELETE, TRUNCATE, TRIGGER"
_LOGIN: Final = (
    "make a login that may only write: CREATE ROLE … LOGIN IN ROLE " + WRITER
)


def health(connection: Connection) -> list[Fact]:
    """The server's version, settings and rights, with what is not right."""
    return [
        *_server(connection),
        *_durability(connection),
        *_rights(connection),
        _triggers(connection),
    ]


def _one(connection: Connection, sql: str) -> Any:
    return connection.exec_driver_sql(sql).scalar()


def _show(connection: Connection, name: str) -> str:
    return str(_one(connection, f"SELECT current_setting('{name}')"))


def _server(connection: Connection) -> list[Fact]:
    old = int(_show(connection, "server_version_num")) < OLDEST
    encoding = _show(connection, "server_encoding")
    standby = _one(connection, "SELECT pg_is_in_recovery()")
    isolation = _show(connection, "default_transaction_isolation")
    size = _one(
        connection, "SELECT pg_size_pretty(pg_database_size(current_database()))"
    )
    return [
        Fact(
            "server",
            f"PostgreSQL {_show(connection, 'server_version')}",
            "nobody mends this version any more; move to a newer one" if old else "",
        ),
        Fact("role of the server", "standby, reads only" if standby else "primary"),
        Fact(
            "encoding",
            encoding,
            "" if encoding == "UTF8" else "a ledger needs UTF8; copy it to such a one",
        ),
        Fact(
            "isolation", f"read committed to append, one snapshot to read ({isolation})"
        ),
        Fact(
            "free space",
            f"a server does not tell; the ledger takes {size}",
        ),
    ]


def _durability(connection: Connection) -> list[Fact]:
    facts = []
    for name, harm in _SETTINGS.items():
        value = _show(connection, name)
        wrong = "" if value == "on" else f"{harm}; set {name} = on on the server"
        facts.append(Fact(name, value, wrong))
    commit = _show(connection, "synchronous_commit")
    standbys = _show(connection, "synchronous_standby_names")
    waits = commit not in {"off", "local"}
    followers = _one(connection, "SELECT count(*) FROM pg_stat_replication")
    facts.append(
        Fact(
            "synchronous_commit",
            commit,
            "an append waits for the disk all the same, and the server's own setting "
            "should say so: set it to on"
            if commit == "off"
            else f"{standbys} is named, and no append waits for it; set it to on"
            if standbys and not waits
            else "",
        )
    )
    facts.append(
        Fact(
            "synchronous standbys",
            standbys or "none",
            "no standby is connected: every append waits without end"
            if standbys and waits and not followers
            else "",
        )
    )
    return facts


def _rights(connection: Connection) -> list[Fact]:
    user, session, super_ = connection.exec_driver_sql(
        "SELECT current_user, session_user, rolsuper FROM pg_roles "
        "WHERE rolname = current_user"
    ).one()
    acts = user if user == session else f"{user}, as {session}"
    member = {
        role: _one(
            connection,
            f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') AND "  # noqa: S608 - names of our own
            f"pg_has_role(current_user, (SELECT oid FROM pg_roles "
            f"WHERE rolname = '{role}'), 'MEMBER')",
        )
        for role in (OWNER, WRITER, READER)
    }
    if super_:
        wrong = f"it may do anything, and take every trigger away; {_LOGIN}"
    elif member[OWNER]:
        wrong = f"it may act as {OWNER}, and take every trigger away; {_LOGIN}"
    elif not (member[WRITER] or member[READER]):
        wrong = f"it is neither {WRITER} nor {READER}: GRANT {WRITER} TO {user}"
    else:
        wrong = ""
    groups = ", ".join(role for role, yes in member.items() if yes) or "none"
    facts = [Fact("connected as", f"{acts} (member of: {groups})", wrong)]
    if not super_ and not member[OWNER]:
        facts.append(_too_much(connection))
    return facts


def _too_much(connection: Connection) -> Fact:
    """What a role may do to the tables, that is neither a writer's nor a reader's."""
    found = []
    for table in metadata.sorted_tables:
        may = [part for part in table.info["writer"].split(", ") if part]
        for verb in ("INSERT", *_WRITES.split(", ")):
            asked = f"SELECT has_table_privilege('{table.name}', '{verb}')"
            if verb not in may and _one(connection, asked):
                found.append(f"{verb} on {table.name}")
    asked = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    if _one(connection, asked):
        found.append("CREATE in the schema")
    return Fact(
        "rights",
        ", ".join(found) if found else "no more than its role needs",
        "take away what it does not need: REVOKE … FROM …" if found else "",
    )


def _triggers(connection: Connection) -> Fact:
    rows = connection.exec_driver_sql(
        "SELECT c.relname, t.tgname FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE c.relnamespace = (SELECT oid FROM pg_namespace "
        "WHERE nspname = current_schema()) AND t.tgenabled = 'A' AND NOT t.tgisinternal"
    ).all()
    there = {f"{name}" for _, name in rows}
    expected = {f"{table.name}_not_changed" for table in WRITTEN_ONCE}
    expected |= {f"{head.name}_not_removed", f"{head.name}_not_shortened"}
    missing = sorted(expected - there)
    return Fact(
        "triggers",
        f"{len(expected) - len(missing)} of {len(expected)} on duty",
        f"{', '.join(missing)} missing or switched off: entries can be changed; "
        "verify, and copy the ledger to a new one"
        if missing
        else "",
    )
