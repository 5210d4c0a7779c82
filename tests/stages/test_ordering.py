"""The one order of events (`docs/ordering.md`), over every type there is, through the stages that apply them.

Times are few, so that many are the same; partitions come in any order to each other, in batches of any size,
and any range of one may come again. The tables must say what the rule says. The oracle sorts the whole log
and applies it event by event; it shares no code with the pipeline.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wire.records import AccountEvent, ActivityEvent, FollowEvent, ModerationEvent, PostEvent
from tests.domain.examples import at_least
from tests.stages.classifier import AUTHOR, OTHER, T0, World, post_id
from tests.stages.fakes import deliver
from tests.twin import shaped, stage

READER, POST = 1, post_id(T0)
FIRST = ("public", "de", "first", ())
SETTINGS = ("region", "protected")

times = st.sampled_from([T0, T0, T0 + 1, T0 + 2])
early = st.sampled_from([T0 - 1000, T0, T0, T0 + 1])
texts = st.sampled_from(["apple", "zebra"])
shown = st.sampled_from(["public", "followers", "private"])
pictures = st.sampled_from([(), ({"url": "a.png"},), ({"url": "z.png"},)])
regions = st.sampled_from(["", "de", "us"])
places = st.sampled_from([(), ("de",), ("de", "us")])

accounts = st.builds(
    AccountEvent,
    st.sampled_from(["registered", "updated", "updated"]),
    st.just(READER),
    regions,
    st.booleans(),
    times,
    st.sampled_from([None, ("region",), ("protected",), ()]),
)
follows = st.builds(
    FollowEvent, st.sampled_from(["followed", "unfollowed"]), st.just(AUTHOR), st.just((READER,)), times
)
posts = st.one_of(
    st.builds(
        lambda *said: PostEvent("published", POST, AUTHOR, *said), times, shown, regions, texts, pictures
    ),
    st.builds(
        lambda *said: PostEvent("edited", POST, AUTHOR, *said),
        early,
        st.none() | shown,
        st.none() | regions,
        st.none() | texts,
        st.none() | pictures,
    ),
    st.builds(PostEvent, st.sampled_from(["deleted", "edited"]), st.just(POST), st.just(AUTHOR), early),
)
strangers = st.builds(
    PostEvent,
    st.sampled_from(["deleted", "edited"]),
    st.just(POST),
    st.just(OTHER),
    early,
    shown,
    regions,
    texts,
)
hides = st.builds(
    ActivityEvent,
    st.sampled_from(["hidden", "unhidden"]),
    st.just(READER),
    times,
    st.just(AUTHOR),
    st.just(POST),
)
relations = st.builds(
    ModerationEvent,
    st.sampled_from(["blocked", "unblocked", "muted", "unmuted"]),
    times,
    st.just(READER),
    st.just(AUTHOR),
)
suspensions = st.builds(
    ModerationEvent, st.sampled_from(["suspended", "reinstated"]), times, st.none(), st.just(AUTHOR)
)
take_downs = st.builds(
    ModerationEvent,
    st.sampled_from(["taken_down", "restored"]),
    times,
    st.none(),
    st.none(),
    st.just(POST),
    places,
)

PARTITIONS = {
    "accounts": accounts,
    "follows": follows,
    "posts": posts,
    "posts of others": strangers,
    "activity": hides,
    "moderation of a reader": relations,
    "moderation of an author": suspensions,
    "moderation of a post": take_downs,
}
logs = st.fixed_dictionaries({name: st.lists(events, max_size=5) for name, events in PARTITIONS.items()})
walks = st.lists(
    st.tuples(st.sampled_from(list(PARTITIONS)), st.integers(1, 3), st.integers(0, 3)), max_size=24
)
"""Whose turn it is, how many events come, and how far before the last ones they begin."""


class Stages:
    """The stages that write what pages read, on one set of stores."""

    def __init__(self):
        self.classify = World()
        stores, outbox = self.classify.stores, self.classify.outbox
        self.stores = stores
        shape = shaped(margin_seconds=2.0, segment_size=10, tasks_per_post=4)
        self.readers, self.graph, self.moderation = (
            stage(name, stores, outbox, topology=shape) for name in ("readers", "graph", "moderation")
        )

    async def handle(self, partition, events, offset):
        """A batch of one partition."""
        topic = partition.split()[0]
        if topic == "posts":
            await self.classify.handle(events, first_offset=offset)
            return
        handle = {"accounts": self.readers, "activity": self.readers, "follows": self.graph}
        batch = [deliver(event, offset=offset + n, topic=topic) for n, event in enumerate(events)]
        await handle.get(topic, self.moderation)(batch)

    async def tables(self):
        """What pages would find."""
        stores = self.stores
        state = await stores.readers.reader(READER)
        among = await stores.readers.relations(READER, [AUTHOR])
        post = (await stores.posts.posts([POST])).get(POST)
        return {
            "region": state.region,
            "protected": state.protected,
            "follows": AUTHOR in [edge.author_id for edge in await stores.graph.following(READER)],
            "post": post
            and (
                post.author_id,
                post.visibility,
                post.region,
                post.body,
                post.media,
                post.edited_at,
                post.deleted,
            ),
            "taken down": post and set(post.taken_down),
            "hidden": POST in await stores.readers.hidden_among(READER, [POST]),
            "blocked": AUTHOR in among.blocks,
            "muted": AUTHOR in among.mutes,
            "suspended": bool(await stores.readers.suspended([AUTHOR])),
        }


def oracle(logs):
    """The whole log in the order of the rule, event by event."""
    said = {"region": "", "protected": False, "follows": False, "hidden": False}
    said |= {"blocked": False, "muted": False, "suspended": False}
    ends = {"unfollowed": "follows", "unhidden": "hidden", "unblocked": "blocked", "unmuted": "muted"}
    begins = {"followed": "follows", "hidden": "hidden", "blocked": "blocked", "muted": "muted"}
    ends, begins = ends | {"reinstated": "suspended"}, begins | {"suspended": "suspended"}
    down, post, edited_at, deleted = set(), None, None, False
    ordered = sorted(
        (_as_of(event), place, n)
        for n, name in enumerate(PARTITIONS)
        for place, event in enumerate(logs[name])
    )
    for at, place, n in ordered:
        event = logs[list(PARTITIONS)[n]][place]
        if event.type in begins:
            said[begins[event.type]] = True
        elif event.type in ends:
            said[ends[event.type]] = False
        elif isinstance(event, AccountEvent):
            named = SETTINGS if event.type == "registered" or event.changed is None else event.changed
            said |= {name: getattr(event, name) for name in named}
        elif event.type == "taken_down":
            down |= set(event.regions or ("*",))
        elif event.type == "restored":
            down -= set(event.regions) if event.regions else set(down)
        elif event.author_id == OTHER:
            continue
        elif event.type == "deleted":
            deleted = True
        elif event.type == "published":
            post, edited_at = [event.visibility, event.region, event.body, event.media], None
        else:
            new = [event.visibility, event.region, event.body, event.media]
            edited_at = at
            post = post and [old if one is None else one for old, one in zip(post, new, strict=True)]
    if post and deleted:
        post[2:] = ["", ()]
    said["post"] = (AUTHOR, *post, edited_at, deleted) if post else None
    said["taken down"] = down if post else None
    return said


def _as_of(event):
    """A post is of the time in its id, and no edit is before it."""
    if event.type == "published":
        return T0
    return max(event.at, T0) if event.type == "edited" else event.at


async def run(logs, walk):
    """The tables when every log is worked off, and before that what the walk says."""
    stages, done = Stages(), dict.fromkeys(PARTITIONS, 0)
    rest = [(name, 2, 0) for name in PARTITIONS for _ in range(3)]
    for name, taken, again in [*walk, *rest]:
        start = max(done[name] - again, 0)
        done[name] = min(max(done[name], start + taken), len(logs[name]))
        if events := logs[name][start : start + taken]:
            await stages.handle(name, events, start)
    return await stages.tables()


@at_least(200)
@given(logs, walks)
def test_the_tables_say_what_the_order_says(logs, walk):
    """Of all types of events together, whatever came when, how often and with what."""
    assert asyncio.run(run(logs, walk)) == oracle(logs)


@pytest.mark.parametrize("name", PARTITIONS)
@at_least(100)
@given(st.data())
def test_a_range_that_comes_again_changes_nothing(name, data):
    """Of each type alone: also one that ends before the last event, which then does not come again."""
    logs = {other: [] for other in PARTITIONS} | {"posts": [PostEvent("published", POST, AUTHOR, T0, *FIRST)]}
    logs[name] = logs[name] + data.draw(st.lists(PARTITIONS[name], min_size=2, max_size=5))
    steps = data.draw(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), min_size=2, max_size=6))
    whole = [(other, 6, 0) for other in PARTITIONS]

    assert asyncio.run(run(logs, [*whole, *((name, *step) for step in steps)])) == oracle(logs)
