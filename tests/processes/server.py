"""Forks commands from a process that has loaded torch and transformers: a line of JSON in, a number out.

`{"room": "sim", "words": [...], "log": "…", "environment": {...}}` begins what `python -m sim ...` does and answers its
process id; `{"wait": pid}` waits for it and answers its exit status, minus the signal where one ended it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from typing import Any

import transformers.models.gpt2.modeling_gpt2  # noqa: F401

import sim.montecarlo  # noqa: F401


def called(job: dict[str, Any]) -> None:
    """Be the command; it ends the process."""
    os.environ.clear()
    os.environ.update(job["environment"])
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [job["room"], *job["words"]]
    runpy.run_module(job["room"], run_name="__main__", alter_sys=True)


def serve() -> None:
    """Answer line by line."""
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if not pid:
            called(job)
            raise SystemExit
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
