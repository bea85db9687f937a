"""What Alembic runs to migrate: always on a connection, and in a transaction, that its caller opened."""

from alembic import context
from sqlmodel import SQLModel

from engine.tracker import run_tables as run_tables  # the tables join SQLModel.metadata
from engine.tracker import schema as schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
