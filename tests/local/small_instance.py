"""A supervisor over small children, in a process of its own: `small_instance.py HOME GRACE STAGE=CODE…`.

Each child runs its code with `ready()` at hand, which tells the supervisor that it is ready, and holds its
lifeline as real workers do.
"""

import os
import sys
from pathlib import Path

import psutil

from pipeline.local import instance
from pipeline.local.instance import Instance
from pipeline.local.process import Child
from pipeline.local.supervisor import Supervisor
from pipeline.local.worker import Job

PRELUDE = """
import json, os, signal, sys, time
from pipeline.local import lifeline
lifeline.hold()
def ready(port=1):
    path = os.environ["TIDELINE_READY_FILE"]
    with open(path + ".new", "w") as file:
        json.dump({"pid": os.getpid(), "port": port}, file)
    os.rename(path + ".new", path)
"""


def main(home, grace, *stages):
    """Supervise until a signal."""
    jobs = []
    for worker, stage in enumerate(stages):
        name, _, code = stage.partition("=")
        number = sum(job.stage == name for job in jobs)
        jobs.append(Job(name, number, [sys.executable, "-c", PRELUDE + code], {"WORKER": str(worker)}))
    me = Child(os.getpid(), psutil.Process().create_time())
    described = Instance(me, "http://127.0.0.1:1", "default", "kafka:1", "cassandra:1", "tideline", "")
    with instance.claimed(Path(home)):
        Supervisor(Path(home), jobs, grace=float(grace)).run(
            described, answers=lambda: True, ready=lambda: print("ready", flush=True)
        )


main(*sys.argv[1:])
