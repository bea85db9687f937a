"""The versions of policies, and what their cases were found to be."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """
    CREATE TABLE policy_version (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        file TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        origin TEXT NOT NULL,
        created_at TEXT NOT NULL,
        CONSTRAINT version_origin_known CHECK (origin IN ('saved', 'found', 'restored')),
        CONSTRAINT fk_policy_version_sha256 FOREIGN KEY(sha256) REFERENCES policy_text (sha256)
    )
    """,
    "CREATE INDEX ix_policy_version_file ON policy_version (file)",
    """
    CREATE TABLE trial (
        text_sha256 TEXT NOT NULL,
        judge TEXT NOT NULL,
        case_key TEXT NOT NULL,
        violation BOOLEAN,
        score FLOAT,
        status TEXT NOT NULL,
        reasoning TEXT NOT NULL,
        latency_ms FLOAT NOT NULL,
        CONSTRAINT pk_trial PRIMARY KEY (text_sha256, judge, case_key)
    ) WITHOUT ROWID
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
