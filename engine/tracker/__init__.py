"""The tracker: what was probed and run, kept in SQLite."""
