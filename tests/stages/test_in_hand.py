"""Batches beside each other: never two about one author or reader, and no other waits."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.in_hand import InHand


@given(st.lists(st.sets(st.integers(1, 6)), max_size=8), st.randoms(use_true_random=False))
def test_no_two_batches_about_one_key_and_all_come_to_an_end(batches, random):
    async def run():
        in_hand, now, most, ended = InHand(), [], 0, 0

        async def work(keys):
            nonlocal most, ended
            async with in_hand.alone(keys):
                assert not any(keys & others for others in now)
                now.append(keys)
                most = max(most, len(now))
                for _ in range(random.randint(0, 3)):
                    await asyncio.sleep(0)
                now.remove(keys)
                ended += 1

        await asyncio.gather(*map(work, batches))
        assert ended == len(batches)
        assert most >= min(len([keys for keys in batches if not keys]), 1)

    asyncio.run(run())


async def test_batches_of_others_do_not_wait():
    in_hand = InHand()

    async with in_hand.alone({1, 2}), in_hand.alone({3}), in_hand.alone(set()):
        waiting = asyncio.create_task(_enter(in_hand, {2, 4}))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_batch_that_fails_lets_go():
    in_hand = InHand()

    with pytest.raises(ValueError, match="broken"):
        async with in_hand.alone({1}):
            raise ValueError("broken")

    await _enter(in_hand, {1})


async def _enter(in_hand, keys):
    async with in_hand.alone(keys):
        pass
