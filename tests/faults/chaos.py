"""Carries out planned faults on a running instance, and counts them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Lock
from typing import Any

from pipeline.local import control, lifeline
from pipeline.local.process import Child
from pipeline.local.supervisor import GRACE
from tests.engines.harness import REPOSITORY, Instance
from tests.faults.plan import Fault, Kind
from tests.waiting import eventually

MAX_ADDED = 3
"""Workers beside the supervisor's at a time: each costs the machine a start and some memory."""

READY_S = 12
"""How long a fault waits for its victim: a killed worker is back in seconds unless the machine is very busy."""

ENGINE_GONE_S = 60


class Chaos:
    """The faults of one instance. Use as a context manager: what was added is gone at the end."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._added: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._engines, self._counting = Lock(), Lock()
        self.counts: Counter[str] = Counter()
        """How often each kind was carried out; `skipped` where nobody was there to suffer it."""
        self.killed: Counter[str] = Counter()
        """Kills by stage."""

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(self, *_: object) -> None:
        for _stage, process in self._added:
            process.kill()
            process.wait()

    def run(self, faults: Sequence[Fault], seconds: float, over: Event) -> None:
        """Carry out a round's faults at their times; sets `over` and returns when all are over, not before `seconds`.

        Faults that last run beside the others. Raises what one of them raised.
        """
        begin = time.monotonic()
        try:
            with ThreadPoolExecutor(16, "chaos") as pool:
                running: list[Future[None]] = []
                for fault in faults:
                    time.sleep(max(0.0, begin + fault.at - time.monotonic()))
                    running.append(pool.submit(self._do, fault))
                time.sleep(max(0.0, begin + seconds - time.monotonic()))
                for each in running:
                    each.result()
        finally:
            over.set()

    def heal(self) -> None:
        """Start at once what the supervisor would start after one of its long pauses."""
        for worker in self._workers():
            if worker["state"] == "waiting":
                self._bounce(worker["stage"])

    def _do(self, fault: Fault) -> None:
        done: bool
        match fault.kind:
            case Kind.KILL:
                done = self._signal(fault.target, signal.SIGKILL)
            case Kind.TERMINATE:
                done = self._signal(fault.target, signal.SIGTERM)
            case Kind.BOUNCE:
                done = self._bounce(fault.target)
            case Kind.FREEZE:
                done = self._freeze(fault.target, fault.seconds)
            case Kind.ADD:
                done = self._add(fault.target)
            case Kind.REMOVE:
                done = self._remove()
            case Kind.PAUSE:
                done = self._pause(fault.target, fault.seconds)
            case Kind.RESTART:
                done = self._restart(fault.target, signal.SIGTERM)
            case Kind.CRASH:
                done = self._restart(fault.target, signal.SIGKILL)
        about_engine = fault.kind in (Kind.PAUSE, Kind.RESTART, Kind.CRASH)
        name = f"{fault.kind} {fault.target}" if about_engine else fault.kind.value
        with self._counting:
            self.counts[name if done else "skipped"] += 1

    # Workers

    def _workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._instance.description()["workers"]
        return found

    def _signal(self, stage: str, number: signal.Signals) -> bool:
        """To the stage's worker when it is ready, as it soon is; else to any other that is."""
        deadline = time.monotonic() + READY_S
        while True:
            ready = [worker for worker in self._workers() if worker["state"] == "ready"]
            victims = [worker for worker in ready if worker["stage"] == stage]
            if victims or time.monotonic() >= deadline:
                break
            time.sleep(0.1)
        for worker in victims or ready:
            with suppress(ProcessLookupError):
                os.kill(worker["pid"], number)
                with self._counting:
                    self.killed[worker["stage"]] += 1
                return True
        return False

    def _bounce(self, stage: str) -> bool:
        address = self._instance.description()["control"]
        control.order(address, "stop", stage)
        control.order(address, "start", stage)
        return True

    def _freeze(self, stage: str, seconds: float) -> bool:
        pid = self._instance.worker(stage)["pid"]
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)
        return True

    def _add(self, stage: str) -> bool:
        if len(self._added) >= MAX_ADDED:
            return False
        home = self._instance.home
        given = {lifeline.VARIABLE: "1", "TIDELINE_CURSOR_KEYS": (home / "cursor.keys").read_text()}
        with (home / "logs" / f"added.{stage}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "worker", stage],
                cwd=REPOSITORY,
                env={**self._instance.environment, **given},
                stdin=subprocess.PIPE,  # its lifeline
                stdout=log,
                stderr=log,
            )
        self._added.append((stage, process))
        return True

    def _remove(self) -> bool:
        """Every other one leaves in peace."""
        if not self._added:
            return False
        stage, process = self._added.pop(0)
        if self.counts[Kind.REMOVE.value] % 2:
            process.kill()
            with self._counting:
                self.counts[Kind.KILL.value] += 1
                self.killed[stage] += 1
        else:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):  # where the broker is away it takes a minute and more
                process.wait(GRACE)
            process.kill()
        process.wait()
        return True

    # Engines, one at a time

    def _engine(self, name: str) -> Child:
        engines = json.loads((self._instance.home / "engines.json").read_text())
        return Child(**engines["processes"][name])

    def _pause(self, name: str, seconds: float) -> bool:
        with self._engines:
            pid = self._engine(name).pid
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)
        return True

    def _restart(self, name: str, number: signal.Signals) -> bool:
        with self._engines:
            engine = self._engine(name)
            os.kill(engine.pid, number)
            eventually(lambda: engine.process() is None, ENGINE_GONE_S)
            self._instance.tideline("up")
        return True
