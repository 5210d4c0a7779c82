"""A message is handed on without a task, unless it has to wait for room; errors and the end are as Faust's."""

import asyncio

import pytest
from mode import Service

from pipeline.kafka.faust_transport import AtOnce


class Consumer(AtOnce, Service):
    """What of Faust's consumer this is about."""

    def __init__(self):
        super().__init__()
        self.suspend_flow = asyncio.Event()

    async def hand_on(self, message):
        """As Faust does it for each message."""
        return await self.wait_first(message, self.suspend_flow.wait())


async def test_what_does_not_wait_is_done_without_a_task():
    consumer, tasks = Consumer(), []

    async def message():
        tasks.append(asyncio.all_tasks())

    before = asyncio.all_tasks()
    for _ in range(3):
        assert not (await consumer.hand_on(message())).stopped

    assert tasks == [before] * 3


async def test_what_waits_goes_on_where_it_stopped():
    consumer, room, steps = Consumer(), asyncio.Event(), []

    async def message():
        steps.append("taken")
        await asyncio.sleep(0)
        await room.wait()
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            steps.append("in time")
        return "handed on"

    handing = asyncio.create_task(consumer.hand_on(message()))
    await asyncio.sleep(0)
    assert steps == ["taken"]
    room.set()

    assert (await handing).results == ["handed on"]
    assert steps == ["taken", "in time"]


async def test_a_flow_that_is_suspended_takes_no_message_and_loses_none():
    """As before: the message is handed on by the task that was begun, or is read again."""
    consumer, room, handed = Consumer(), asyncio.Event(), []

    async def message():
        await room.wait()
        handed.append("on")

    handing = asyncio.create_task(consumer.hand_on(message()))
    await asyncio.sleep(0)
    consumer.suspend_flow.set()
    await handing

    room.set()
    await asyncio.sleep(0)
    assert handed == []


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_is_raised_to_whoever_hands_on(waits):
    async def message():
        if waits:
            await asyncio.sleep(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Consumer().hand_on(message())
