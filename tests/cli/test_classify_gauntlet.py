"""``wizard101 classify --guard gauntlet`` as a real process, against real servers and a real small model."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.models.gguf import GgufModel
from engine.tracker import open_tracker
from tests.cli.command import REPOSITORY, wizard
from tests.servers.http import wait_for
from tests.servers.llama_server import llama_server
from tests.servers.ollama_server import OllamaServer, Script

TEXT = "How do I bake bread?"
GAUNTLET = ("classify", TEXT, "--guard", "gauntlet", "--json")
GPT_OSS = ("--model", "ollama:gpt-oss:20b")
POLICIES = ["harassment", "hate_speech", "illegal", "self_harm", "sexual_minors", "violence"]


def verdict_of(run: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert run.stdout.count(b"\n") == 1, run.stderr
    verdict = json.loads(run.stdout)
    assert isinstance(verdict, dict)
    return verdict


def nobody() -> str:
    """Return a loopback address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_ollama_allows_what_every_policy_finds_safe(tmp_path: Path) -> None:
    with OllamaServer(Script(), name="gpt-oss:20b") as server:
        run = wizard(
            *GAUNTLET, "--model", "ollama:gpt-oss:20b", cwd=tmp_path, env={"OLLAMA_HOST": server.url}
        )
    verdict = verdict_of(run)
    assert run.returncode == 0, run.stderr
    assert (verdict["decision"], verdict["status"], verdict["guard"]) == ("allow", "ok", "gauntlet")
    assert verdict["model"] == "ollama:gpt-oss:20b"
    assert [policy["policy"] for policy in verdict["policies"]] == POLICIES
    assert verdict["labels"] == {"request": "unharmful", "completion": None, "response": None}


def test_ollama_blocks_what_one_policy_finds_violating(tmp_path: Path) -> None:
    violated = Script(
        match="# Violence policy", steps=[{"thinking": "because"}, {"content": "VIOLATION"}, {"done": "stop"}]
    )
    with OllamaServer(violated, Script(), name="gpt-oss:20b") as server:
        run = wizard(
            *GAUNTLET, "--model", "ollama:gpt-oss:20b", cwd=tmp_path, env={"OLLAMA_HOST": server.url}
        )
    verdict = verdict_of(run)
    assert run.returncode == 0, run.stderr
    assert verdict["decision"] == "block"
    assert [policy["policy"] for policy in verdict["policies"] if policy["violation"]] == ["violence"]
    assert "because" in verdict["policies"][-1]["reasoning"]


@pytest.mark.parametrize(
    ("speed", "by_one_token", "decision"),
    [("full", 0, "escalate"), ("two", 5, "allow"), ("one", 6, "escalate")],
)
def test_speed_says_how_much_is_asked_for(
    tmp_path: Path, speed: str, by_one_token: int, decision: str
) -> None:
    def says_safe(p_violation: float, **match: str) -> str:
        logprobs = [["SAFE", math.log(1 - p_violation), {"VIOLATION": math.log(p_violation)}]]
        return json.dumps({**match, "steps": [{"answer": "SAFE", "logprobs": logprobs}]})

    doubtful = [says_safe(p, match="# Violence policy") for p in (0.55, 0.1)]
    (tmp_path / "script.jsonl").write_text("\n".join([*doubtful, says_safe(0.01)]))
    run = wizard(*GAUNTLET, "--model", f"fake:{tmp_path / 'script.jsonl'}", "--speed", speed, cwd=tmp_path)
    verdict = verdict_of(run)
    assert run.returncode == 0, run.stderr
    assert verdict["decision"] == decision
    assert sum("one token" in policy["reasoning"] for policy in verdict["policies"]) == by_one_token
    assert verdict["usage"]["completion_tokens"] == (7 if speed == "two" else 6)


def test_a_policy_that_one_token_does_not_decide_is_named(tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"steps": [{"answer": "SAFE"}]}\n')
    run = wizard(
        *GAUNTLET[:-1], "--model", f"fake:{tmp_path / 'script.jsonl'}", "--speed", "two",
        "--policy", "violence", cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert b"Note on violence: One token does not decide" in run.stderr


@pytest.mark.parametrize("serial", [(), ("--serial",)])
def test_a_dead_server_exits_3_and_escalates(tmp_path: Path, serial: tuple[str, ...]) -> None:
    address = nobody()
    for spec, env in (("ollama:gpt-oss:20b", {"OLLAMA_HOST": address}), (f"openai:{address}/v1#m", {})):
        run = wizard(*GAUNTLET, "--model", spec, *serial, cwd=tmp_path, env=env)
        verdict = verdict_of(run)
        assert run.returncode == 3
        assert (verdict["decision"], verdict["status"]) == ("escalate", "error")
        assert b"Traceback" not in run.stderr


def test_a_dead_server_ends_a_batch_with_exit_3(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "c"}\n')
    run = wizard(
        "classify", "--file", "cases.jsonl", "--guard", "gauntlet", "--model", "ollama:x",
        cwd=tmp_path, env={"OLLAMA_HOST": nobody()},
    )  # fmt: skip
    assert run.returncode == 3
    assert [json.loads(line)["decision"] for line in run.stdout.splitlines()] == ["escalate"]
    assert b"stopped at case 1 of 3" in run.stderr


def test_interrupt_exits_130_and_the_server_sees_the_connection_close(tmp_path: Path) -> None:
    with OllamaServer(Script(steps=[{"thinking": "hm"}, {"stall": True}]), name="gpt-oss:20b") as server:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "app",
                "classify",
                TEXT,
                "--guard",
                "gauntlet",
                "--model",
                "ollama:gpt-oss:20b",
                "--serial",
            ],
            env={**os.environ, "OLLAMA_HOST": server.url, "WIZARD_DB": str(tmp_path / "wizard.db")},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for(lambda: server.chats, 30)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 130
        assert b"Traceback" not in errors
        wait_for(lambda: server.chats[0].client_closed is not None, 2)


def test_a_batch_prints_a_verdict_while_the_next_case_is_still_judged(tmp_path: Path) -> None:
    stalls = Script(match="slow", steps=[{"thinking": "hm"}, {"stall": True}])
    (tmp_path / "cases.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "slow"}\n')
    batch_of = ["classify", "--file", str(tmp_path / "cases.jsonl"), "--guard", "gauntlet", *GPT_OSS]
    with (
        OllamaServer(stalls, Script(), name="gpt-oss:20b", parallel=6) as server,
        subprocess.Popen(
            [sys.executable, "-m", "app", *batch_of],
            env={**os.environ, "OLLAMA_HOST": server.url, "WIZARD_DB": str(tmp_path / "wizard.db")},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        ) as batch,
    ):
        assert batch.stdout is not None
        printed = [batch.stdout.readline(), batch.stdout.readline()]
        batch.send_signal(signal.SIGINT)
        printed += batch.stdout.readlines()
    assert batch.returncode == 130
    assert [json.loads(line)["decision"] for line in printed] == ["allow", "allow"]
    with open_tracker(tmp_path / "wizard.db") as tracker:
        assert [probe.excerpt for probe in tracker.probes()] == ["b", "a"]


@pytest.mark.xdist_group("smollm2")
@pytest.mark.parametrize("back_end", ["gguf", "ollama", "openai"])
def test_a_real_small_model_judges_through_every_back_end(
    tmp_path: Path, smollm2: Path, back_end: str
) -> None:
    """SmolLM2's verdicts mean nothing: what counts is that the lanes ran and nothing was made up."""
    with ExitStack() as stack:
        env = {}
        if back_end == "gguf":
            spec = f"gguf:{smollm2}"
        elif back_end == "ollama":
            model = GgufModel(smollm2)
            server = OllamaServer(model=model, name="smollm2", capabilities=("completion",), family="llama")
            spec, env = "ollama:smollm2", {"OLLAMA_HOST": stack.enter_context(server).url}
        else:
            spec = f"openai:{stack.enter_context(llama_server(smollm2))}/v1#smollm2"
        asked = ["illegal", "violence"] if back_end == "gguf" else ["violence"]
        lanes = [word for policy in asked for word in ("--policy", policy)]
        run = wizard(*GAUNTLET, "--model", spec, *lanes, cwd=tmp_path, env=env, timeout=170)
    verdict = verdict_of(run)
    assert run.returncode == 0, run.stderr
    assert [policy["policy"] for policy in verdict["policies"]] == asked
    statuses = {policy["status"] for policy in verdict["policies"]}
    assert statuses <= {"ok", "unparsable"}
    assert statuses == {"ok"} or (verdict["decision"], verdict["status"]) == ("escalate", "unparsable")
