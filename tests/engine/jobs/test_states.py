"""What a job can be, and what may follow."""

from __future__ import annotations

import pytest

from engine.jobs.states import FOLLOWS, STATES, IllegalTransition, check


@pytest.mark.parametrize("old", STATES.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("new", STATES.values(), ids=lambda kind: kind.name)
def test_only_what_may_follow_follows(old, new) -> None:  # type: ignore[no-untyped-def]
    fields = {
        "failed": {"code": 1},
        "killed": {"signal": 9},
        "cancelling": {"keep": True},
        "skipped": {"why": ""},
    }
    before, after = (kind(**fields.get(kind.name, {})) for kind in (old, new))
    if new in FOLLOWS[old] and old is not new:
        check(before, after)
    else:
        with pytest.raises(IllegalTransition):
            check(before, after)
