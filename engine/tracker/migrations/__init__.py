"""The steps from each schema to the next. `engine.tracker.database` imports this only when one is due."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

FOLDER = Path(__file__).resolve().parent


def configuration(connection: Connection) -> Config:
    """Return the Alembic configuration for work on ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to ``revision`` within the connection's transaction."""
    command.upgrade(configuration(connection), revision)
