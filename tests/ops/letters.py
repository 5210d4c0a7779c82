"""Dead letters as stages keep them, for the tests of this folder."""

from pipeline.kafka.dead_letters import dead_letter
from pipeline.kafka.messages import Incoming, Refused
from pipeline.ops.dead_letter import DeadLetter

CAME = 1_700_000_000_000


def refused(
    value=b"value", reason="codec", detail="not Avro", topic="posts", partition=2, offset=77, key=b"k"
):
    """A message that a stage refused; it came at CAME."""
    message = Incoming(topic, partition, offset, key, value, [("origin_ts", b"%d" % CAME)], CAME)
    return Refused(message, reason, detail)


def kept(number, letter=None, *, done=None, without=(), **more):
    """A letter in partition 1 at this offset; `without`: headers it lacks, by the ends of their names."""
    made = letter or dead_letter(refused(**{"offset": number, **more}))
    headers = [(name, value) for name, value in made.headers if not name.endswith(tuple(without) or "?")]
    message = Incoming("dead.letters", 1, number, made.key, made.value, headers, CAME + 60_000 + number)
    return DeadLetter(message, done)
