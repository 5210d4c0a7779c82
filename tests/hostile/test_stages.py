"""What is let in breaks no stage: every hostile record that admission passes, through the handlers on memory stores."""

import random
from collections import Counter
from itertools import islice

from pipeline.domain.admission import Refusal
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.path import RECORDS
from pipeline.runtime.admitting import admission_of
from pipeline.topology import load
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.headers import origin_ts
from tests.hostile.mutants import KINDS, Fate, Mutants
from tests.stages.whole import Whole

NUMBER = 1500


class AtOnce(Whole):
    """Every call has its turn at once, and none fails."""

    async def turn(self):
        """Nobody waits."""

    async def sleep(self, seconds):
        """Time passes at once."""
        self.now += round(seconds * 1000)


async def test_no_record_that_is_let_in_breaks_its_stage():
    """One after the other, and what the stages send each other as well."""
    admit = admission_of(load(profile="small-graph"))
    whole = AtOnce(random.Random(1), crashes=0, again=0)
    handled = Counter()
    for offset, mutant in enumerate(islice(Mutants(3, lambda: whole.now, lambda _: 5), NUMBER)):
        if mutant.topic not in whole.topics:
            continue
        message = Incoming(
            mutant.topic, 0, offset, mutant.key, mutant.value, tuple(mutant.headers), whole.now
        )
        try:
            record = admit(decode(mutant.value or b"", RECORDS[mutant.topic]), message)
        except CodecError:
            continue
        if isinstance(record, Refusal):
            assert mutant.fate is not Fate.TAKEN, (mutant, record)
            continue
        delivery = Delivery(record, message, origin_ts(message.headers, whole.now))
        for stage in whole.readers_of[mutant.topic]:
            for one in await whole.handlers[stage]([delivery]) or ():
                assert mutant.fate is not Fate.TAKEN, (mutant, one)
        await worked_off(whole)
        handled[mutant.topic] += 1

    assert min(handled[topic] for topic in KINDS if topic in whole.topics) > 50, handled


async def worked_off(whole):
    """Everything that stages have sent each other."""
    while any(queue for keys in whole.queues.values() for queue in keys.values()):
        for (stage, topic), keys in list(whole.queues.items()):
            for key, queue in list(keys.items()):
                batch, keys[key] = queue[:], []
                if batch:
                    assert not await whole.handlers[stage](batch), (topic, key)
