"""Nothing about an erased account reaches a stage, and nobody else loses anything by it."""

from pipeline.domain.erasure import mark
from pipeline.stages.erased import ErasedAccounts, forgetting
from pipeline.telemetry import metrics
from pipeline.wire.records import ErasedAccount, FollowEvent, PostEvent
from tests.stages.fakes import deliver


def erase(known, account):
    known.put(mark(account).encode(), ErasedAccount(mark(account), 1))


async def handled(known, *records):
    """What reaches a stage of these records, batch by batch."""
    seen = []

    async def handle(batch):
        seen.append([delivery.record for delivery in batch])
        return []

    await forgetting(handle, known)([deliver(record) for record in records])
    return seen


async def test_a_batch_goes_on_without_what_is_about_them():
    known, before = ErasedAccounts(), metrics.ERASED_RECORDS._value.get()
    erase(known, 7)
    post, follow = PostEvent("edited", 1, 8, 1), FollowEvent("followed", 8, (7, 9), 1)

    assert await handled(known, PostEvent("edited", 2, 7, 1), post, follow) == [
        [post, FollowEvent("followed", 8, (9,), 1)]
    ]
    assert metrics.ERASED_RECORDS._value.get() == before + 1


async def test_a_batch_about_them_alone_is_done():
    known = ErasedAccounts()
    erase(known, 7)

    assert await handled(known, PostEvent("edited", 2, 7, 1)) == []


async def test_who_is_not_erased_is_not_forgotten():
    known = ErasedAccounts()
    erase(known, 8)
    known.put(mark(8).encode(), None)
    post = PostEvent("edited", 2, 8, 1)

    assert await handled(known, post) == [[post]]
