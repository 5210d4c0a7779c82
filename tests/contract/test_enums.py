"""Words of the wire are their text, wherever they go: keys, JSON, Avro, headers."""

import dataclasses

import orjson
import pytest

from pipeline.domain import intake
from pipeline.domain.admission import MARKS
from pipeline.domain.page_request import BadRequest, parse
from pipeline.wire.codec import decode, encode
from pipeline.wire.enums import Degradation, DeliveryPath, EventType, FeedMode, RefusalReason
from pipeline.wire.records import FollowEvent

WORDS = [word for kind in (EventType, RefusalReason, DeliveryPath, FeedMode, Degradation) for word in kind]


@pytest.mark.parametrize("word", WORDS, ids=repr)
def test_a_word_is_its_text(word):
    text = word.value

    assert (word, str(word), f"{word}", hash(word)) == (text, text, text, hash(text))
    assert {word: 1}[text] == {text: 1}[word] == 1
    assert orjson.loads(orjson.dumps({"said": word})) == {"said": text}
    event = FollowEvent(word, 9, (7,), 1)
    assert encode(event) == encode(dataclasses.replace(event, type=text))
    assert decode(encode(event), FollowEvent) == event


def test_every_type_of_event_is_let_in_somewhere():
    """And nothing else is."""
    of_strangers = {kind for kinds in intake._SHAPES.values() for kind in kinds}
    ours = {kind for kinds in MARKS.values() for kind in kinds}

    assert of_strangers | ours == set(EventType)
    assert not of_strangers & ours


def test_a_mode_is_one_of_those_there_are():
    asked = dict.fromkeys(("limit", "cursor", "explain")) | {"reader_id": "7", "now_ms": 1, "cursor_keys": ()}

    assert parse(**asked, mode=None).place.mode == FeedMode.LATEST
    assert parse(**asked, mode="ranked").place.mode == FeedMode.RANKED
    assert parse(**asked, mode="best") == BadRequest("mode", "must be latest or ranked")
