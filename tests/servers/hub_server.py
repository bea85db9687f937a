"""Enough of the Hugging Face hub for `datasets` to load a data set from it, on the loopback interface."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.servers.http import LoopbackServer, Reply, Seen

REVISION = "0123456789abcdef0123456789abcdef01234567"


class HubServer(LoopbackServer):
    """A hub with the given data sets: name to files, path to content.

    ``gated`` ones show what files there are, and give none to anybody. ``broken`` answers everything with
    this status.
    """

    def __init__(
        self,
        data_sets: Mapping[str, Mapping[str, bytes]],
        *,
        gated: tuple[str, ...] = (),
        broken: int | None = None,
    ) -> None:
        super().__init__()
        self.data_sets = data_sets
        self.gated = gated
        self.broken = broken

    async def respond(self, seen: Seen, reply: Reply) -> None:
        path = unquote(urlsplit(seen.path).path)
        if self.broken is not None:
            await reply.whole(self.broken, {"error": "out of order"})
            return
        name = next((name for name in self.data_sets if f"/datasets/{name}" in path), None)
        if name is None:
            await reply.whole(401, {"error": "Repository not found"}, "X-Error-Code: RepoNotFound")
            return
        files = self.data_sets[name]
        _, _, asked = path.partition(f"/datasets/{name}")
        match asked.split("/")[1:]:
            case [] | ["revision", *_]:
                await reply.whole(200, self._info(name, files))
            case ["tree", _, *folder]:
                await reply.whole(
                    200, _tree(files, "/".join(folder), deep="recursive=true" in seen.path.lower())
                )
            case ["paths-info", _]:
                await reply.whole(
                    200, [_entry(file, files[file]) for file in seen.json["paths"] if file in files]
                )
            case ["resolve", _, *parts] if "/".join(parts) in files:
                await self._give(name, files["/".join(parts)], reply)
            case _:
                await reply.whole(404, {"error": "Entry not found"}, "X-Error-Code: EntryNotFound")

    async def _give(self, name: str, content: bytes, reply: Reply) -> None:
        if name in self.gated:
            await reply.whole(401, {"error": "This is gated"}, "X-Error-Code: GatedRepo")
            return
        facts = (f'ETag: "{_oid(content)}"', f"X-Repo-Commit: {REVISION}", "Accept-Ranges: bytes")
        await reply.whole(200, content, *facts)

    def _info(self, name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        return {
            "_id": "1",
            "id": name,
            "sha": REVISION,
            "private": False,
            "gated": "auto" if name in self.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "siblings": [{"rfilename": file} for file in files],
        }


def _tree(files: Mapping[str, bytes], folder: str, *, deep: bool) -> list[dict[str, Any]]:
    inside = {file: content for file, content in files.items() if not folder or file.startswith(f"{folder}/")}
    entries: dict[str, dict[str, Any]] = {}
    for file, content in inside.items():
        parts = file.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent.startswith(folder) and parent != folder:
                entries[parent] = {"type": "directory", "path": parent, "oid": "0" * 40, "size": 0}
        entries[file] = _entry(file, content)
    start = len(folder.split("/")) if folder else 0
    return [entry for path, entry in entries.items() if deep or len(path.split("/")) == start + 1]


def _entry(file: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": file, "oid": _oid(content), "size": len(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
