"""One database for all tests of a worker that leave it as they found it but for rows.

A database of its own costs a test little; connections that know nothing of its tables yet cost it
most of its time. So the connections stay, and the rows of the test before are taken away.
"""

from uuid import uuid4

from sqlalchemy import Connection, Engine

from resources.store import postgres
from resources.store.engine import connected, engine_for
from resources.store.frames import driver, read_rows


class SharedDatabase:
    """A database with its engine; `clean` takes away what a test left."""

    def __init__(self, server: postgres.Databases) -> None:
        self.server, self.name = server, f"shared_{uuid4().hex[:8]}"
        postgres.create_database(server, self.name, template=str(server.store.database))
        self.engine: Engine = engine_for(postgres.Databases(server.store.set(database=self.name)))
        with connected(self.engine) as connection:
            every = _tables(connection)
            self.tables = sorted(set(every) - _filled(connection, every))

    def clean(self) -> None:
        """Take every row away that no migration put there, and count from 1 again."""
        with connected(self.engine) as connection:
            filled = sorted(_filled(connection, self.tables))
            if not filled:
                return
            # The audit refuses to be emptied; and whoever was left behind shall be told of.
            words = [
                "set local session_replication_role = replica",
                "set local lock_timeout = '30s'",
                *(f"delete from {name}" for name in filled),
                *(f"truncate {name}" for name in sorted(self._grown(connection))),
                _FROM_ONE,
            ]
            driver(connection).execute("; ".join(words).encode(), prepare=False)

    def _grown(self, connection: Connection) -> set[str]:
        """Nothing is vacuumed: what has many pages is emptied the dear way."""
        query = "select name from unnest(cast(:names as text[])) as name " + (
            "where pg_relation_size(cast(name as regclass)) > 200000"
        )
        return {row["name"] for row in read_rows(connection, query, names=self.tables)}

    def close(self) -> None:
        """Drop it."""
        self.engine.dispose()
        postgres.drop_database(self.server, self.name)


_FROM_ONE = """
select setval(cast(format('%I.%I', schemaname, sequencename) as regclass), start_value, false)
from pg_sequences where last_value is not null
"""


def spoil(engine: Engine, statement: str) -> int:
    """Change what triggers guard, as somebody with every right could; answers how many rows."""
    with connected(engine) as connection:
        connection.exec_driver_sql("set local session_replication_role = replica")
        return connection.exec_driver_sql(statement).rowcount


def _filled(connection: Connection, tables: list[str]) -> set[str]:
    """Those that have a row."""
    query = " union all ".join(
        f"select '{name}' as name where exists (select from {name})" for name in tables
    )
    return {row["name"] for row in read_rows(connection, query)}


def _tables(connection: Connection) -> list[str]:
    rows = read_rows(
        connection,
        "select format('%I.%I', schemaname, tablename) as name from pg_tables "
        "where schemaname not in ('pg_catalog', 'information_schema') "
        "and schemaname not like 'pg_temp%'",
    )
    return [row["name"] for row in rows]
