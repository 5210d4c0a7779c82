"""A stage as small as can be, for `test_safe_loop`: a Faust app with the safe loop, bound as `pipeline.runtime.apps` does.

`python -m tests.engines.safe_loop_stage KAFKA TOPIC GROUP FOLDER` appends to FOLDER/log a line `began N` and a line
`done N` for the reader N of each event. While FOLDER/hold names N, its batch stays open between the two. When
FOLDER/commit appears, everything acknowledged by then is committed, and the file is gone.
"""

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path

from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.faust_transport import App
from pipeline.kafka.loop import SafeLoop
from pipeline.kafka.outbox import Outbox
from pipeline.wire.records import ActivityEvent
from tests.waiting import eventually_async

BUFFER = 4096


async def handle(folder, batch):
    """Append, with a pause in the middle of the batch when a test wants one."""
    readers = [delivery.record.reader_id for delivery in batch]
    hold = folder / "hold"
    with (folder / "log").open("a") as log:
        for reader in readers:
            print("began", reader, file=log, flush=True)
            if hold.exists() and hold.read_text() == str(reader):
                await eventually_async(lambda: not hold.exists(), timeout=60)
            print("done", reader, file=log, flush=True)
    return []


def app(kafka, topic, group, folder, outbox):
    """The app, its agent in the safe loop: batches of five, three of them in flight."""
    made = App(
        group,
        broker=f"kafka://{kafka}",
        datadir=folder / "faust",
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=True,
        stream_buffer_maxsize=BUFFER,
        broker_max_poll_records=BUFFER // 5,
        broker_commit_interval=0.2,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        consumer_auto_offset_reset="earliest",
    )
    loop = SafeLoop({topic: ActivityEvent}, DeadLetters(outbox), batch=5, in_flight=3)

    async def process(stream):
        await loop.run(stream, partial(handle, folder))

    made.agent(made.topic(topic, key_type=bytes, value_type=bytes), name="stage", concurrency=1)(process)
    return made


async def look(stop, stage, commit):
    """Commit when asked to; true when it is time to stop."""
    if commit.exists():
        await stage.commit(None)
        commit.unlink()
    return stop.is_set()


async def main(kafka, topic, group, folder):
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Outbox(kafka) as outbox:
        stage = app(kafka, topic, group, Path(folder), outbox)
        stage.finalize()
        await stage.start()
        await eventually_async(partial(look, stop, stage, Path(folder) / "commit"), timeout=600)
        await stage.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
