"""Experiments, runs and jobs, with their metrics, artifacts, lineage, results and tags."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    """
    CREATE TABLE experiment (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        note TEXT NOT NULL,
        created_at TEXT NOT NULL,
        CONSTRAINT pk_experiment PRIMARY KEY (id),
        CONSTRAINT uq_experiment_name UNIQUE (name)
    )
    """,
    """
    CREATE TABLE run (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        experiment_id INTEGER,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        origin TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TEXT NOT NULL,
        started_at TEXT,
        ended_at TEXT,
        host TEXT,
        git_revision TEXT,
        git_dirty BOOLEAN,
        cost_usd FLOAT,
        params TEXT NOT NULL,
        packages TEXT NOT NULL,
        seeds TEXT NOT NULL,
        summary TEXT NOT NULL,
        source TEXT NOT NULL,
        note TEXT NOT NULL,
        CONSTRAINT status_known CHECK (status IN (
            'queued', 'starting', 'running', 'paused', 'cancelling', 'succeeded', 'failed',
        'killed', 'lost', 'skipped', 'reported', 'in progress', 'planned')),
        CONSTRAINT origin_known CHECK (origin IN ('measured', 'imported', 'paper')),
        CONSTRAINT only_claims_are_reported CHECK (
            (origin = 'measured') = (status NOT IN ('reported', 'in progress', 'planned'))),
        CONSTRAINT fk_run_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id)
    )
    """,
    "CREATE INDEX ix_run_experiment_id ON run (experiment_id)",
    "CREATE INDEX ix_run_kind ON run (kind)",
    "CREATE INDEX ix_run_name ON run (name)",
    "CREATE INDEX ix_run_status ON run (status)",
    """
    CREATE TABLE job (
        run_id INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        group_name TEXT NOT NULL,
        accelerators INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        cancel TEXT,
        exit_code INTEGER,
        signal INTEGER,
        reason TEXT NOT NULL,
        retry_of INTEGER,
        phase TEXT NOT NULL,
        done INTEGER,
        total INTEGER,
        unit TEXT NOT NULL,
        rate FLOAT,
        progressed_at_ms FLOAT,
        events_offset INTEGER NOT NULL,
        events_seq INTEGER NOT NULL,
        events_skipped INTEGER NOT NULL,
        events_check INTEGER NOT NULL,
        CONSTRAINT pk_job PRIMARY KEY (run_id),
        CONSTRAINT cancel_known CHECK (cancel IS NULL OR cancel IN ('keep', 'discard')),
        CONSTRAINT one_end CHECK (exit_code IS NULL OR signal IS NULL),
        CONSTRAINT fk_job_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE,
        CONSTRAINT fk_job_retry_of FOREIGN KEY(retry_of) REFERENCES run (id)
    )
    """,
    """
    CREATE TABLE job_need (
        run_id INTEGER NOT NULL,
        needs_id INTEGER NOT NULL,
        CONSTRAINT pk_job_need PRIMARY KEY (run_id, needs_id),
        CONSTRAINT fk_job_need_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE,
        CONSTRAINT fk_job_need_needs_id FOREIGN KEY(needs_id) REFERENCES run (id)
    )
    """,
    "CREATE INDEX ix_job_need_needs_id ON job_need (needs_id)",
    """
    CREATE TABLE job_group (
        name TEXT NOT NULL,
        at_once INTEGER NOT NULL,
        CONSTRAINT pk_job_group PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE metric_name (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        CONSTRAINT pk_metric_name PRIMARY KEY (id),
        CONSTRAINT uq_metric_name_name UNIQUE (name)
    )
    """,
    """
    CREATE TABLE metric (
        run_id INTEGER NOT NULL,
        name_id INTEGER NOT NULL,
        step INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at_ms FLOAT NOT NULL,
        value FLOAT,
        CONSTRAINT pk_metric PRIMARY KEY (run_id, name_id, step, seq),
        CONSTRAINT fk_metric_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE run_event (
        run_id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at_ms FLOAT NOT NULL,
        body TEXT NOT NULL,
        CONSTRAINT pk_run_event PRIMARY KEY (run_id, seq),
        CONSTRAINT fk_run_event_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE artifact (
        run_id INTEGER NOT NULL,
        path TEXT NOT NULL,
        role TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        CONSTRAINT pk_artifact PRIMARY KEY (run_id, path),
        CONSTRAINT fk_artifact_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE lineage (
        run_id INTEGER NOT NULL,
        role TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT,
        parent_id INTEGER,
        CONSTRAINT pk_lineage PRIMARY KEY (run_id, role, name),
        CONSTRAINT fk_lineage_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE,
        CONSTRAINT fk_lineage_parent_id FOREIGN KEY(parent_id) REFERENCES run (id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX ix_lineage_parent_id ON lineage (parent_id)",
    "CREATE INDEX ix_lineage_sha256 ON lineage (sha256)",
    """
    CREATE TABLE result (
        run_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        value FLOAT NOT NULL,
        n INTEGER,
        low FLOAT,
        high FLOAT,
        CONSTRAINT pk_result PRIMARY KEY (run_id, name),
        CONSTRAINT fk_result_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    "CREATE INDEX ix_result_name_value ON result (name, value)",
    """
    CREATE TABLE tag (
        run_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        CONSTRAINT pk_tag PRIMARY KEY (run_id, name),
        CONSTRAINT fk_tag_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    "CREATE INDEX ix_tag_name ON tag (name)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
