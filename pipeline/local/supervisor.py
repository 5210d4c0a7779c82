"""The supervisor of one instance: every worker alive while it is wanted, none left when it ends.

What dies is started again, with growing pauses. SIGTERM, SIGINT and SIGHUP stop all workers: SIGTERM, a grace
period, SIGKILL; a second signal cuts the grace period short. Workers hold a lifeline and go down with a
supervisor that is killed. `tests/local/test_supervisor.py` does all of that to it.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock

from pipeline.local import control, instance, targets
from pipeline.local.instance import Instance
from pipeline.local.logs import Logs
from pipeline.local.signals import Wakeup
from pipeline.local.worker import Job, State, Worker, WorkerStatus

GRACE = 10.0
"""Seconds a worker has to finish what it has in flight."""

_LOOK = 0.1
"""Seconds between two looks at the workers: how old instance.json may be."""

_REMIND = 10.0
"""Seconds between two words about what the start waits for."""


class Supervisor:
    """Runs these jobs in a home that its caller has claimed."""

    def __init__(self, home: Path, jobs: Sequence[Job], *, grace: float = GRACE) -> None:
        self._home, self._jobs, self._grace = home, jobs, grace
        self._workers: list[Worker] = []
        self._targets = targets.Targets(home)
        self._starting = Lock()  # no order starts a stage again once the end has begun
        self._ending = False

    def run(self, described: Instance, *, answers: Callable[[], bool], ready: Callable[[], None]) -> None:
        """Keep the workers running until a signal says stop; returns when all are gone.

        `described`: instance.json without its workers. `ready` is called once, when every worker is ready and
        `answers` says that the API is too.
        """
        logs = Logs(self._home / "logs", max(len(_name(job)) for job in self._jobs))
        with Wakeup() as wakeup, control.listening(self._home, self._obey) as socket:
            described = replace(described, control=str(socket))
            try:
                for job in self._jobs:
                    file = self._home / "run" / f"{job.file}.{job.worker}.json"
                    self._workers.append(Worker(job, file, logs.of(job.file, _name(job))))
                self._watch(described, wakeup, answers, ready)
            finally:
                with self._starting:
                    self._ending = True
                self._stop(self._workers, wakeup.wait, hurry=lambda: wakeup.received > 1)
                for worker in self._workers:
                    worker.close()
                self._targets.record(())
                logs.close()

    def _watch(
        self, described: Instance, wakeup: Wakeup, answers: Callable[[], bool], ready: Callable[[], None]
    ) -> None:
        announced, remind = False, time.monotonic() + _REMIND
        while not wakeup.received:
            workers = tuple(worker.status() for worker in self._workers)
            if workers != described.workers:
                described = replace(described, workers=workers)
                instance.record(self._home, described)
                self._targets.record(workers)
            if not announced:
                waiting = [w for w in workers if w.state in (State.STARTING, State.WAITING)]
                if not waiting and answers():
                    announced = True
                    ready()
                elif time.monotonic() >= remind:
                    remind += _REMIND
                    _say(f"still waiting for {_in_words(waiting) or 'the API to answer'}")
            wakeup.wait(_LOOK)

    def _obey(self, verb: str, stage: str) -> str:
        """Carry out an order from outside; on the control socket's thread."""
        workers = [worker for worker in self._workers if worker.job.stage == stage]
        if not workers:
            known = dict.fromkeys(job.stage for job in self._jobs)
            return f"no stage {stage}; stages: {', '.join(known)}"
        if verb == "stop":
            self._stop(workers, time.sleep, hurry=lambda: False)
            return ""
        with self._starting:
            if self._ending:
                return "the instance is stopping"
            for worker in workers:
                worker.start()
        return ""

    def _stop(
        self, workers: Sequence[Worker], wait: Callable[[float], None], *, hurry: Callable[[], bool]
    ) -> None:
        """Ask these workers to leave, and kill those that are still there after the grace period."""
        for worker in workers:
            worker.dismiss()
        deadline = time.monotonic() + self._grace
        while running := [worker for worker in workers if worker.status().pid is not None]:
            if time.monotonic() >= deadline or hurry():
                for worker in running:
                    worker.kill()
            wait(_LOOK / 5)


def _name(job: Job) -> str:
    return f"{job.stage}.{job.worker}" if job.worker else job.stage


def _in_words(workers: Sequence[WorkerStatus]) -> str:
    return ", ".join(f"{w.stage} ({w.state}, {w.restarts} restarts)" for w in workers)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
