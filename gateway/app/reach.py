"""Reach: whether the store and the broker that a configuration names are there, asked without changing anything in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aio_pika
from sqlalchemy.exc import SQLAlchemyError

from gateway.app.gateway import store_url
from gateway.app.transport import with_password
from gateway.queue.broker import plain as fault_of
from gateway.settings import Settings
from gateway.store.connection import connect, plain
from gateway.store.schema import newest, revision

PATIENCE = 10.0


async def store_answers(settings: Settings) -> str:
    """ "" if PostgreSQL answers with a schema that this version can use; else what is wrong and what to do."""

    def ask() -> str:
        engine = connect(store_url(settings, Path()), readonly=True)
        try:
            found = revision(engine)
        except SQLAlchemyError as error:
            return f"没有应答 no answer: {plain(error)}. See store.url, and that PostgreSQL runs."
        finally:
            engine.dispose()
        wanted = newest()
        if found == wanted:
            return ""
        return f"库的版本是 {found or '空 empty'}，需要 {wanted} / the schema is older or newer: run `tongluo migrate`."

    return await asyncio.to_thread(ask)


async def queue_answers(settings: Settings) -> str:
    """ "" if RabbitMQ lets us in; else what is wrong and what to do."""
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await aio_pika.connect(with_password(settings.queue.url, settings.queue.password_file))
            await connection.close()
    except (aio_pika.exceptions.AMQPError, OSError, TimeoutError) as error:
        return f"没有应答 no answer: {fault_of(error)}. See queue.url, the vhost and the password; that RabbitMQ runs."
    return ""
