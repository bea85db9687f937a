"""Every event survives its JSON form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cases import Decision, Finding, Status, Verdict
from engine.events import EVENT_TYPES, Event, EventDecodeError, PolicyFinished, ReasoningDelta, decode, encode

any_text = st.text(st.characters(codec=None))
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
for kind, strategy in ((str, any_text), (float, numbers)):
    st.register_type_strategy(kind, strategy)
st.register_type_strategy(dict, st.dictionaries(any_text, json_values, max_size=3))
st.register_type_strategy(
    Verdict,
    st.builds(Verdict, decision=st.sampled_from([Decision.BLOCK, Decision.ESCALATE])),
)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_event_round_trips(kind: type[Event]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.from_type(kind))
    def round_trips(event: Event) -> None:
        line = encode(event)
        assert "\n" not in line
        assert line.isascii()
        assert decode(line) == event

    round_trips()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"event":"no such","seq":1}',
        '{"event":"notice","seq":"1","at_ms":0.0,"message":"m","lane":null}',
        '{"event":"notice","seq":1,"at_ms":0.0,"message":3,"lane":null}',
        '{"event":"notice","seq":1,"at_ms":0.0,"message":"m","lane":null,"more":1}',
        '{"event":"usage","seq":1,"at_ms":0.0,"lane":"x","usage":{"prompt_tokens":true}}',
        '{"event":"verdict","seq":1,"verdict":{"decision":"allow","guard":"g","status":"error"}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_anything_else_is_refused(line: str | bytes) -> None:
    with pytest.raises(EventDecodeError):
        decode(line)


def test_lone_surrogates_survive() -> None:
    event = ReasoningDelta(seq=3, lane="violence", text="a\ud800b\x00\u2028")
    assert decode(encode(event)) == event


def test_a_finding_keeps_its_nulls() -> None:
    event = PolicyFinished(seq=0, finding=Finding("hate_speech", None, None, Status.TIMEOUT))
    assert decode(encode(event)) == event
