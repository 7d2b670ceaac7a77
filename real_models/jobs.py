"""Commands whose results folders others read, run as processes of their own, several at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.results import code_digest, read_json
from theory.command import Misuse


@dataclass(frozen=True)
class Job:
    """A command and the folder, or the JSON file, that it writes.

    Attributes:
        name: the folder's name, or the file's without its suffix.
        words: the command line after `python -m`, without --out; "{layer}" stands for a layer still to be measured.
        steps: how many edits it makes; 0 where it has no count.
        file: whether it writes a JSON file of rows (--json) in place of a folder (--out).
        judged: whether claims rest on it; otherwise figures alone do.
    """

    name: str
    words: tuple[str, ...]
    steps: int = 0
    file: bool = False
    judged: bool = True

    def command(self) -> str:
        """What a user types for this, the layer left to be chosen by measurement."""
        text = " ".join(("python", "-m", *self.words, *self.goal(Path("results"))))
        return text.replace("--layers {layer} ", "")

    def goal(self, folder: Path) -> tuple[str, str]:
        """The option that says where its result goes below a folder."""
        return ("--json", str(self.place(folder))) if self.file else ("--out", str(self.place(folder)))

    def place(self, folder: Path) -> Path:
        """Where its result lies."""
        return folder / (f"{self.name}.json" if self.file else self.name)

    def proof(self, folder: Path) -> Path:
        """The file that stands once it has finished."""
        return self.place(folder) if self.file else self.place(folder) / "summary.json"


class Runner:
    """Runs jobs in processes of one thread each, as many at a time as there are cores.

    Args:
        folder: where the jobs' folders lie.
        report: called with a job's name and the steps it has made, or None when it starts waiting.
    """

    def __init__(self, folder: Path, report: Callable[[str, int | None], None]) -> None:
        self.folder, self.report = folder, report
        self.pool = ThreadPoolExecutor(max_workers=max(1, os.cpu_count() or 1))
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, job: Job, layer: int | None = None) -> Future[dict[str, Any]]:
        """Queue a job; its future holds the summary, of a file what was "written", or raises what went wrong."""
        self.report(job.name, None)
        return self.pool.submit(self._run, job, layer)

    def _run(self, job: Job, layer: int | None) -> dict[str, Any]:
        words = [word.replace("{layer}", str(layer)) for word in job.words]
        folder = self.folder / job.name
        if job.file:
            job.place(self.folder).unlink(missing_ok=True)
        forget_stale(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
        command = [sys.executable, "-m", *words, *job.goal(self.folder)]
        with log.open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
        self.processes.append(process)
        while process.poll() is None:
            time.sleep(0.2)
            self.report(job.name, step_of(folder))
        # Status 1 is a run that stopped on a non-finite number: a result, which its claims then judge.
        if process.returncode not in (0, 1) or not job.proof(self.folder).exists():
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            said = lines[-1] if lines else "nothing"
            raise Misuse(f"{' '.join(words)} ended with status {process.returncode} and said: {said}")
        self.report(job.name, job.steps or 1)
        return {"written": read_json(job.place(self.folder))} if job.file else read_json(job.proof(self.folder))

    def stop(self) -> None:
        """End what still runs; edit runs keep their resume state."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()


def run_all(jobs: Sequence[Job], folder: Path) -> None:
    """Run jobs, as many at a time as there are cores, with a bar for each on stderr; those finished before are kept.

    Raises:
        Misuse: a job ended without a result.
    """
    with bars({job.name: job.steps or 1 for job in jobs}) as report:
        runner = Runner(folder, report)
        try:
            for future in [runner.start(job) for job in jobs]:
                future.result()
        finally:
            runner.stop()


@contextmanager
def bars(totals: Mapping[str, int]) -> Iterator[Callable[[str, int | None], None]]:
    """A bar for whatever reports, by name: count, time spent, time left; the function that a `Runner` reports to."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        tasks = {}

        def report(name: str, step: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=totals[name])
            if step is not None:
                progress.update(tasks[name], completed=step)

        yield report


def step_of(folder: Path) -> int:
    """How far a run's saved state says it has come."""
    try:
        return int(json.loads((folder / "resume.json").read_text(encoding="utf-8"))["facts"]["step"])
    except FileNotFoundError:
        return 0


def forget_stale(folder: Path) -> None:
    """Delete a run that other code made or began; one of this very code is kept, to be read or resumed."""
    for path in (folder / "summary.json", folder / "resume.json"):
        if path.exists():
            record = read_json(path)
            if record.get("provenance", record).get("code") == code_digest():
                return
    shutil.rmtree(folder, ignore_errors=True)
