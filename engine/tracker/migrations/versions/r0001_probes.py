"""Probes: the judgements, their event streams, and the policy texts they were made by."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "probe",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("guard", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("case_key", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_probe"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_probe_decision", "probe", ["decision"])
    op.create_index("ix_probe_guard", "probe", ["guard"])
    op.create_index("ix_probe_case_key", "probe", ["case_key"])
    op.create_table(
        "policy_text",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_policy_text"),
    )
    op.create_table(
        "probe_stream",
        sa.Column("probe_id", sa.Integer(), nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("probe_id", name="pk_probe_stream"),
        sa.ForeignKeyConstraint(
            ["probe_id"], ["probe.id"], name="fk_probe_stream_probe_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "probe_policy",
        sa.Column("probe_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("probe_id", "name", name="pk_probe_policy"),
        sa.ForeignKeyConstraint(
            ["probe_id"], ["probe.id"], name="fk_probe_policy_probe_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["policy_text.sha256"], name="fk_probe_policy_sha256"),
    )
    op.create_index("ix_probe_policy_sha256", "probe_policy", ["sha256"])
    op.execute(
        "CREATE VIRTUAL TABLE probe_search USING fts5("
        "prompt, response, content='probe', content_rowid='id', tokenize='trigram', detail=none)"
    )
    op.execute(
        "CREATE TRIGGER probe_search_insert AFTER INSERT ON probe BEGIN "
        "INSERT INTO probe_search(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END"
    )
    op.execute(
        "CREATE TRIGGER probe_search_delete AFTER DELETE ON probe BEGIN "
        "INSERT INTO probe_search(probe_search, rowid, prompt, response) "
        "VALUES ('delete', old.id, old.prompt, old.response); END"
    )
    op.execute(
        "CREATE TRIGGER probe_search_update AFTER UPDATE OF prompt, response ON probe BEGIN "
        "INSERT INTO probe_search(probe_search, rowid, prompt, response) "
        "VALUES ('delete', old.id, old.prompt, old.response); "
        "INSERT INTO probe_search(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END"
    )
