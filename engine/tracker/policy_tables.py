"""The tables of policies' versions, and of what cases were found to be under a text. Imports SQLModel.

A change here needs a migration, see docs/tracker.md; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel, col

from engine.tracker.schema import UtcTime, faithful_text


class PolicyVersionRow(SQLModel, table=True):
    """A text that a policy's file had: ``file`` is its path in the policies' folder."""

    __tablename__ = "policy_version"
    __table_args__ = (
        CheckConstraint("origin IN ('saved', 'found', 'restored')", name="version_origin_known"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    file: str = faithful_text()
    sha256: str = faithful_text(foreign_key="policy_text.sha256")
    origin: str = faithful_text()
    created_at: datetime = Field(sa_type=UtcTime)


Index("ix_policy_version_file", col(PolicyVersionRow.file))


class TrialRow(SQLModel, table=True):
    """What one case was found to be under one text, by one judge.

    ``text_sha256`` is the hash of what was applied, ``judge`` that of all else that decides the outcome. The
    text itself need not be kept: most are tried on the way from one version to the next.
    """

    __tablename__ = "trial"
    __table_args__ = {"sqlite_with_rowid": False}

    text_sha256: str = faithful_text(primary_key=True)
    judge: str = faithful_text(primary_key=True)
    case_key: str = faithful_text(primary_key=True)
    violation: bool | None = None
    score: float | None = None
    status: str = faithful_text()
    reasoning: str = faithful_text()
    latency_ms: float
