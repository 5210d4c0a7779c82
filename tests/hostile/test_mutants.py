"""The generator: the same from the same seed, all kinds of it, and right about what is right."""

from collections import Counter
from itertools import islice

from pipeline.domain.admission import Refusal, admit
from pipeline.path import RECORDS
from pipeline.runtime.admitting import limits_of
from pipeline.topology import load
from pipeline.wire.codec import CodecError, decode
from tests.hostile.mutants import FIRST_ID, KINDS, Fate, Mutants

NOW = 1_800_000_000_000
NUMBER = 4000


def drawn(seed):
    return list(islice(Mutants(seed, lambda: NOW, lambda _: 5), NUMBER))


def test_a_seed_draws_the_same_again():
    assert drawn(7) == drawn(7) != drawn(8)


def test_every_topic_has_records_of_every_fate_but_those_of_transactions():
    fates = Counter((mutant.topic, mutant.fate) for mutant in drawn(7))

    for topic in KINDS:
        for fate in (Fate.TAKEN, Fate.REFUSED, Fate.EITHER):
            assert fates[topic, fate] > 5, (topic, fate)
    assert len({mutant.kind for mutant in drawn(7)}) > 70


def test_nothing_is_about_an_ordinary_id_but_anothers_post():
    for mutant in drawn(7):
        if mutant.post is not None:
            post, author = mutant.post
            assert author >= FIRST_ID
            assert post & 1 << 21


def test_the_rules_agree_with_each_fate():
    """Decoded and held against admission, as the safe loop does; who is to blame when they do not is another question."""
    limits = limits_of(load(profile="small-graph"))
    wrong = Counter()
    for mutant in drawn(7):
        if mutant.kind.startswith(("headers", "reply to")) or mutant.fate is Fate.EITHER:
            continue
        try:
            found = admit(mutant.topic, decode(mutant.value or b"", RECORDS[mutant.topic]), NOW, limits)
            reason = found.reason if isinstance(found, Refusal) else ""
        except CodecError:
            reason = "codec"
        right = reason in mutant.reasons if mutant.fate is Fate.REFUSED else not reason
        wrong[mutant.kind, mutant.topic, reason] += not right
    assert +wrong == Counter()
