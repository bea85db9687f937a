"""Fixtures for tests of the interface over a real queue."""

from __future__ import annotations

from tests.engine.jobs.conftest import workshop as workshop
