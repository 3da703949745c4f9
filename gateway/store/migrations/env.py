"""Alembic's entry: runs the migrations on the connection that `gateway.store.schema` hands over."""

from alembic import context

from gateway.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite too: the caller's transaction holds every step, so that a kill leaves none half done
)
with context.begin_transaction():
    context.run_migrations()
