"""Processes that begin at the same moment."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def run_together(commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Run commands that print ``ready`` and wait for a line; return exit code and standard error of each."""
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for command in commands
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]
