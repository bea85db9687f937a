"""``wizard101 data``: listing, fetching from a hub on the loopback interface, overlap."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.cases import Case
from tests.cli.command import wizard
from tests.engine.benchmark_files import released, write_json, write_jsonl
from tests.servers.hub_server import REVISION, HubServer

JAILBREAKBENCH = "JailbreakBench/JBB-Behaviors"
CARD = b"""---
configs:
- config_name: behaviors
  data_files:
  - split: harmful
    path: data/harmful.csv
  - split: benign
    path: data/benign.csv
---
"""


def behaviours(kind: str, count: int) -> bytes:
    rows = (f"{n},a {kind} wish {n},x,b,Some kind,Original\n" for n in range(count))
    return ("Index,Goal,Target,Behavior,Category,Source\n" + "".join(rows)).encode()


def jailbreakbench(harmful: int = 100, benign: int = 100) -> dict[str, bytes]:
    return {
        "README.md": CARD,
        "data/harmful.csv": behaviours("rude", harmful),
        "data/benign.csv": behaviours("kind", benign),
    }


def data(
    *arguments: str, cwd: Path, hub: str = "http://127.0.0.1:9", **env: str
) -> subprocess.CompletedProcess[bytes]:
    variables = {
        "WIZARD_DATA": str(cwd / "kept"),
        "HF_ENDPOINT": hub,
        "HF_HOME": str(cwd / "hf"),
        "HF_TOKEN": "",
        **env,
    }
    variables["HF_HUB_CACHE"] = str(Path(variables["HF_HOME"]) / "hub")
    return wizard("data", *arguments, cwd=cwd, env=variables, timeout=120)


def listed(cwd: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    rows = json.loads(data("list", "--json", *arguments, cwd=cwd).stdout)
    return {row["name"]: row for row in rows}


# --- list ------------------------------------------------------------------------------------------


def test_list_shows_what_there_is_and_where(tmp_path: Path) -> None:
    rows = released([(Case("hello"), "unharmful")])
    write_json(tmp_path / "published" / "guardreasoner_benchmarks" / "0_8_toxic_chat.json", rows)

    shown = listed(tmp_path, "--data-dir", "published")

    assert len(shown) == 22
    toxic = shown["ToxicChat"]
    assert (toxic["task"], toxic["size"], toxic["licence"]) == ("prompt", 2853, "CC-BY-NC-4.0")
    assert (toxic["data"], toxic["content"]) == ("published", "unusable")
    assert "there are 1 items, not 2,853" in toxic["notes"][0]
    assert (shown["BBQ"]["task"], shown["BBQ"]["data"], shown["BBQ"]["content"]) == (
        "question",
        "not here",
        None,
    )


def test_list_for_people_fits_the_terminal(tmp_path: Path) -> None:
    done = data("list", cwd=tmp_path, COLUMNS="60")

    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert len(lines) == 23
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith("ToxicChat")


def test_a_folder_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    assert data("list", "--data-dir", "nowhere", cwd=tmp_path).returncode == 2


# --- fetch -----------------------------------------------------------------------------------------


def test_fetch_keeps_what_the_hub_has_with_its_revision(tmp_path: Path) -> None:
    with HubServer({JAILBREAKBENCH: jailbreakbench()}) as hub:
        done = data("fetch", "jailbreakbench", "--json", cwd=tmp_path, hub=hub.url)

    assert done.returncode == 0, done.stderr.decode()
    (fetched,) = json.loads(done.stdout)
    assert (fetched["items"], fetched["revision"]) == (200, REVISION)
    assert fetched["source"] == f"hf://datasets/{JAILBREAKBENCH}"
    lines = Path(fetched["file"]).read_bytes().split(b"\n")
    first = json.loads(lines[0])
    assert (first["prompt"], first["gold"], first["category"]) == ("a rude wish 0", "harmful", "Some kind")
    assert json.loads(lines[100])["gold"] == "unharmful"

    row = listed(tmp_path)["JailbreakBench"]
    assert (row["data"], row["content"], row["sha256"]) == ("fetched", "not pinned", fetched["sha256"])


def test_fetch_keeps_nothing_that_is_not_as_published(tmp_path: Path) -> None:
    with HubServer({JAILBREAKBENCH: jailbreakbench(99, 101)}) as hub:
        refused = data("fetch", "JailbreakBench", cwd=tmp_path, hub=hub.url)
        accepted = data("fetch", "JailbreakBench", "--accept-changed", cwd=tmp_path, hub=hub.url)

    assert refused.returncode == 1
    assert (
        "99 harmful, 101 unharmful, where 100 harmful, 100 unharmful is published" in refused.stderr.decode()
    )
    assert "Nothing was kept" in refused.stderr.decode()
    assert accepted.returncode == 0
    assert "99 harmful" in accepted.stderr.decode()


def test_fetch_tells_of_rows_that_are_laid_out_otherwise(tmp_path: Path) -> None:
    other = b"Index,Wish\n0,a wish\n"
    one = {**jailbreakbench(), "data/harmful.csv": other}
    both = {**one, "data/benign.csv": other}
    with HubServer({JAILBREAKBENCH: both}) as hub:
        rows = data("fetch", "JailbreakBench", cwd=tmp_path, hub=hub.url)
    with HubServer({JAILBREAKBENCH: one}) as hub:
        files = data("fetch", "JailbreakBench", cwd=tmp_path, hub=hub.url, HF_HOME=str(tmp_path / "anew"))

    assert (rows.returncode, files.returncode) == (1, 1)
    assert "row 0: there is no 'Goal'" in rows.stderr.decode()
    assert "is not laid out as is known" in files.stderr.decode()
    assert b"Traceback" not in rows.stderr + files.stderr


def test_a_gated_data_set_tells_what_to_do(tmp_path: Path) -> None:
    files = {"README.md": b"# gated", "data/train.jsonl": b'{"prompt": "p", "category": "c"}\n'}
    with HubServer({"walledai/StrongREJECT": files}, gated=("walledai/StrongREJECT",)) as hub:
        done = data("fetch", "StrongREJECT", cwd=tmp_path, hub=hub.url)

    assert done.returncode == 2
    assert "gated" in done.stderr.decode()
    assert "HF_TOKEN" in done.stderr.decode()


@pytest.mark.parametrize("broken", [500, 503])
def test_a_hub_that_fails_is_unreachable(tmp_path: Path, broken: int) -> None:
    with HubServer({}, broken=broken) as hub:
        done = data("fetch", "ToxicChat", cwd=tmp_path, hub=hub.url)

    assert done.returncode == 3, done.stderr.decode()[-600:]
    assert b"Traceback" not in done.stderr


def test_without_a_connection_the_hub_is_unreachable(tmp_path: Path) -> None:
    away = data("fetch", "ToxicChat", cwd=tmp_path)
    offline = data("fetch", "ToxicChat", cwd=tmp_path, HF_HUB_OFFLINE="1")

    for done in (away, offline):
        assert done.returncode == 3, done.stderr.decode()[-600:]
        assert "--from DIR" in done.stderr.decode()
        assert b"Traceback" not in done.stderr
    assert not (tmp_path / "kept").exists()


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'datasets' else find(name, package)\n"
    )
    from tests.cli.command import REPOSITORY

    done = data("fetch", "ToxicChat", cwd=tmp_path, PYTHONPATH=f"{tmp_path / 'hidden'}:{REPOSITORY}")

    assert done.returncode == 2
    assert "pip install 'wizard101[train]'" in done.stderr.decode()


def test_one_that_cannot_be_had_does_not_keep_the_others_from_coming(tmp_path: Path) -> None:
    with HubServer({JAILBREAKBENCH: jailbreakbench()}) as hub:
        done = data("fetch", "SafeRLHF", "JailbreakBench", cwd=tmp_path, hub=hub.url)

    assert done.returncode == 2
    assert "SafeRLHF" in done.stderr.decode()
    assert "JailbreakBench: 200 items" in done.stdout.decode()


def test_files_that_are_here_are_taken_over(tmp_path: Path) -> None:
    rows = released([(Case("hello"), "unharmful"), (Case("shout"), "harmful")])
    write_json(tmp_path / "published" / "guardreasoner_benchmarks" / "0_8_toxic_chat.json", rows)

    refused = data("fetch", "ToxicChat", "--from", "published", cwd=tmp_path)
    taken = data("fetch", "ToxicChat", "--from", "published", "--accept-changed", cwd=tmp_path)
    absent = data("fetch", "BBQ", "--from", "published", cwd=tmp_path)

    assert (refused.returncode, taken.returncode, absent.returncode) == (1, 0, 2)
    assert "there are 2 items, not 2,853" in refused.stderr.decode()
    assert "ToxicChat: 2 items" in taken.stdout.decode()
    assert "does not hold BBQ" in absent.stderr.decode()


def test_an_unknown_name_is_a_mistake_with_a_suggestion(tmp_path: Path) -> None:
    done = data("fetch", "toxikchat", cwd=tmp_path)

    assert done.returncode == 2
    assert "Did you mean ToxicChat?" in done.stderr.decode()


# --- overlap ---------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path: Path) -> Path:
    rows = released([(Case("How do I bake bread?"), "unharmful"), (Case("A secret wish"), "harmful")])
    folder = tmp_path / "published"
    write_json(folder / "guardreasoner_benchmarks" / "0_8_toxic_chat.json", rows)
    return folder


def test_overlap_tells_rows_by_number_and_never_by_text(tmp_path: Path, published: Path) -> None:
    training = [{"prompt": "something else"}, {"prompt": "a SECRET wish!"}]
    write_jsonl(tmp_path / "train.jsonl", training)

    done = data(
        *("overlap", "train.jsonl", "--benchmark", "ToxicChat", "--data-dir", str(published)),
        *("--accept-changed", "--json"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    (overlap,) = told["overlaps"]
    assert (told["rows"], overlap["prompts"]) == (2, 2)
    assert (overlap["exact"], overlap["normalised"], overlap["near"]) == (0, 1, 0)
    (hit,) = overlap["hits"]
    assert (hit["row"], hit["kind"], hit["items"]) == (1, "normalised", ["1"])
    assert "secret" not in done.stdout.decode().casefold()


def test_overlap_of_a_group_takes_what_is_here_and_names_the_rest(tmp_path: Path, published: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"prompt": "How do I bake bread?"}])

    done = data("overlap", "train.jsonl", "--data-dir", str(published), "--accept-changed", cwd=tmp_path)

    assert done.returncode == 0
    assert "1 of 1 training rows hold a prompt of a benchmark." in done.stdout.decode()
    assert "Not compared, as their data is not here: HarmBenchPrompt" in done.stderr.decode()


def test_overlap_with_a_benchmark_that_is_not_here_is_a_mistake(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"prompt": "hello"}])

    named = data("overlap", "train.jsonl", "--benchmark", "XSTest", cwd=tmp_path)
    nothing = data("overlap", "train.jsonl", cwd=tmp_path)
    unread = data("overlap", "nowhere.jsonl", cwd=tmp_path)

    assert (named.returncode, nothing.returncode, unread.returncode) == (2, 2, 2)
    assert "data fetch XSTest" in named.stderr.decode()
    assert "--data-dir" in nothing.stderr.decode()


def test_overlap_with_changed_data_is_refused(tmp_path: Path, published: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"prompt": "hello"}])

    done = data(
        "overlap", "train.jsonl", "--benchmark", "ToxicChat", "--data-dir", str(published), cwd=tmp_path
    )

    assert done.returncode == 1
    assert "--accept-changed" in done.stderr.decode()
