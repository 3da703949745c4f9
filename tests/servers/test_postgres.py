"""The private PostgreSQL itself: fresh databases, restarts, and crashes that lose nothing committed."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from postgres import PostgresServer
from processes import bearing


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """Run one statement in a transaction of its own."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def test_a_fresh_database_is_empty_and_its_own(postgres: str, postgres_server: PostgresServer) -> None:
    ask(postgres, "create table t (n int)")
    with postgres_server.database() as other:
        assert ask(other, "select to_regclass('t')") == [(None,)]
        assert ask(other, "select current_user, getdatabaseencoding()") == [("gw", "UTF8")]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        ask(other, "select 1")


def test_a_database_is_copied_from_a_template(postgres_server: PostgresServer) -> None:
    template = postgres_server.create()
    ask(postgres_server.url(template), "create table t as select 7 as n")
    with postgres_server.database(template) as one, postgres_server.database(template) as two:
        ask(one, "update t set n = 8")
        assert ask(two, "select n from t") == [(7,)]
    postgres_server.drop(template)


def test_a_database_goes_even_while_somebody_is_in_it(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        lingering = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        lingering.execute("select 1")
    lingering.close()


def test_a_restart_ends_sessions_and_keeps_data_and_port(postgres: str, postgres_server: PostgresServer) -> None:
    ask(postgres, "create table t as select 1 as n")
    with psycopg.connect(postgres) as before:
        postgres_server.restart()
        with pytest.raises(psycopg.OperationalError):
            before.execute("select 1")
    assert ask(postgres, "select n from t") == [(1,)]


def test_a_stopped_server_refuses_until_it_starts(postgres: str, postgres_server: PostgresServer) -> None:
    postgres_server.stop()
    assert not postgres_server.running
    with pytest.raises(psycopg.OperationalError, match="refused"):
        ask(postgres, "select 1")
    postgres_server.start()
    postgres_server.start()
    assert ask(postgres, "select 1") == [(1,)]


def test_a_durable_server_keeps_what_was_committed_over_a_crash_and_leaves_nothing_behind() -> None:
    server = PostgresServer.booted(durable=True)
    try:
        asked = "select name from pg_settings where setting = 'on' and name in "
        on = ask(server.url(), asked + "('fsync', 'synchronous_commit', 'full_page_writes')")
        assert len(on) == 3
        ask(server.url(), "create table t as select 1 as n")
        with closing(psycopg.connect(server.url())) as uncommitted:
            uncommitted.execute("insert into t values (2)")
            server.crash()
        server.start()
        assert ask(server.url(), "select n from t") == [(1,)]
    finally:
        server.discard()
    assert bearing(str(server.folder / "data")) == []
    assert not server.folder.exists()
