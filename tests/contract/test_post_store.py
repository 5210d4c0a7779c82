"""PostStore: posts end the same in any order of their events; the index finds the newest first."""

from dataclasses import replace
from itertools import permutations

import pytest

from pipeline.domain import hints
from pipeline.domain.merge import Row
from pipeline.domain.order import Version
from pipeline.domain.snowflake import BUCKET_MS, EPOCH_MS, bucket_of, first_id
from pipeline.store.values import NOT_COVERED, Claim, Placed, StoredPost
from pipeline.wire.records import PostEvent

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE = {"kind": "image", "url": "https://example.org/tide.png"}
BORN = EPOCH_MS + 86_400_000
"""When the posts of these tests were made (ms)."""


@pytest.fixture
def new_post(fresh):
    """Ids of posts of BORN that nobody else in this session has."""
    return lambda: first_id(BORN) + fresh() % 2**22


def at(ms: int) -> int:
    return BORN + ms


def life(post_id: int) -> list[Placed]:
    """A post that is edited twice, then deleted."""
    events = [
        PostEvent("published", post_id, 7, at(0), "public", "eu", "first", (PICTURE,)),
        PostEvent("edited", post_id, 7, at(2000), body="second", visibility="followers"),
        PostEvent("edited", post_id, 7, at(3000), body="third"),
        PostEvent("deleted", post_id, 7, at(4000)),
    ]
    return [Placed(event, n) for n, event in enumerate(events)]


def as_stored(post_id: int, **changed: object) -> StoredPost:
    first = {"visibility": "public", "region": "eu", "body": "first", "media": (PICTURE,)}
    rest = {"edited_at": None, "deleted": False, "taken_down": frozenset()}
    rest["was_private"] = changed.get("visibility") == "private"
    return StoredPost(post_id=post_id, author_id=7, created_at=at(0), **{**first, **rest, **changed})


async def put_one(stores, event: PostEvent, place: int) -> None:
    await stores.posts.put_posts([Placed(event, place)], {event.post_id: 1})


async def test_a_published_post_is_stored_and_indexed(stores, new_post, fresh):
    post_id, author = new_post(), fresh()
    event = PostEvent("published", post_id, author, 1000, "public", "eu", "first")

    await stores.posts.put_posts([Placed(event, 3)], {post_id: -5})

    assert await stores.posts.posts([post_id, post_id + 1]) == {
        post_id: StoredPost(
            post_id, author, 1000, "public", "eu", "first", (), None, deleted=False, taken_down=frozenset()
        )
    }
    assert await stores.posts.claims([post_id, post_id + 1]) == {post_id: Claim(author, False)}
    assert await stores.posts.recent(author, 0, NOT_COVERED, 10) == [Row(post_id, author, -5)]


async def test_events_of_a_post_end_the_same_in_any_order_and_number(stores, new_post):
    orders = list(permutations(range(4)))
    posts = [new_post() for _ in orders]

    for post_id, order in zip(posts, orders, strict=True):
        for event in order * 2:
            await stores.posts.put_posts([life(post_id)[event]], {post_id: 1})

    assert await stores.posts.posts(posts) == {
        post_id: as_stored(
            post_id, body="", media=(), visibility="followers", edited_at=at(3000), deleted=True
        )
        for post_id in posts
    }


async def test_a_whole_life_in_one_batch(stores, new_post):
    post_id = new_post()

    await stores.posts.put_posts(life(post_id)[:3], {post_id: 1})

    assert await stores.posts.posts([post_id]) == {
        post_id: as_stored(post_id, body="third", visibility="followers", edited_at=at(3000))
    }


async def test_an_edit_changes_only_what_it_names(stores, new_post):
    post_id = new_post()
    await stores.posts.put_posts(life(post_id)[:1], {post_id: 1})

    await put_one(stores, PostEvent("edited", post_id, 7, at(2000), media=()), 1)

    assert await stores.posts.posts([post_id]) == {post_id: as_stored(post_id, media=(), edited_at=at(2000))}


@pytest.mark.parametrize("behind_ms", [0, 1, 1000, 10**9])
async def test_an_edit_whose_clock_is_behind_counts_as_of_its_post(stores, new_post, behind_ms):
    """It is applied, whole, and says so."""
    post_id = new_post()
    edit = Placed(PostEvent("edited", post_id, 7, at(-behind_ms), body="a", visibility="private"), 1)

    for event in (life(post_id)[0], edit, life(post_id)[0]):
        await stores.posts.put_posts([event], {post_id: 1})

    assert await stores.posts.posts([post_id]) == {
        post_id: as_stored(post_id, body="a", visibility="private", edited_at=at(0))
    }


@pytest.mark.parametrize("texts", [("zebra", "apple"), ("apple", "zebra")])
@pytest.mark.parametrize("created", [(0, 0), (0, 500), (500, 0)])
async def test_of_two_publications_of_one_id_the_later_one_is_shown_whole(stores, new_post, texts, created):
    """Whatever their `created_at`, and in whatever order they are written."""
    post_id, other = new_post(), new_post()
    both = [
        PostEvent("published", 0, 7, at(ms), "public", "eu", text, ({"url": f"{text[::-1]}.png"},))
        for text, ms in zip(texts, created, strict=True)
    ]

    for n in (0, 1, 0):
        await put_one(stores, replace(both[n], post_id=post_id), n)
    for n in (1, 0, 1):
        await put_one(stores, replace(both[n], post_id=other), n)

    for shown in (await stores.posts.posts([post_id, other])).values():
        assert (shown.body, shown.media) == (texts[1], ({"url": f"{texts[1][::-1]}.png"},))
        assert (shown.created_at, shown.edited_at) == (at(created[1]), None)


@pytest.mark.parametrize("bodies", [("aaa", "bbb"), ("bbb", "aaa")])
async def test_of_two_edits_of_a_millisecond_the_later_one_counts_whole(stores, new_post, bodies):
    post_id = new_post()
    await stores.posts.put_posts(life(post_id)[:1], {post_id: 1})
    shown_to = ("public", "private")

    for n in (1, 0, 1, 0):
        edit = PostEvent("edited", post_id, 7, at(9), body=bodies[n], visibility=shown_to[n])
        await put_one(stores, edit, 1 + n)

    assert await stores.posts.posts([post_id]) == {
        post_id: as_stored(post_id, body=bodies[1], visibility="private", edited_at=at(9))
    }


async def test_an_edit_that_a_later_publication_replaces_is_not_shown_as_made(stores, new_post):
    """Both are of the post's own time, and the publication is later on the partition."""
    post_id = new_post()
    events = [
        PostEvent("published", post_id, 7, at(0), body="first"),
        PostEvent("edited", post_id, 7, at(-5), body="second"),
        PostEvent("published", post_id, 7, at(0), body="third"),
    ]

    for n in (0, 1, 2, 1):
        await put_one(stores, events[n], n)

    shown = (await stores.posts.posts([post_id]))[post_id]
    assert (shown.body, shown.edited_at) == ("third", None)


async def test_what_came_before_the_post_is_not_a_post(stores, new_post):
    post_id = new_post()

    await stores.posts.put_ahead(life(post_id)[1:], ttl_s=60)
    await stores.posts.take_down(post_id, ["eu"], Version(at(0), 0))

    assert await stores.posts.posts([post_id]) == {}
    assert await stores.posts.claims([post_id]) == {post_id: Claim(None, True)}


async def test_what_came_before_the_post_is_kept_by_who_sent_it(stores, new_post):
    """The newest first, each once, as it came; of others nothing."""
    post_id = new_post()
    _, second, third, deletion = life(post_id)
    strange = Placed(PostEvent("edited", post_id, 8, at(1), "private", "us", "x", (PICTURE,)), 5)

    for _ in range(2):
        await stores.posts.put_ahead([third, second, strange, deletion], ttl_s=60)

    assert await stores.posts.ahead(post_id, 7, 10) == [deletion, third, second]
    assert await stores.posts.ahead(post_id, 7, 2) == [deletion, third]
    assert await stores.posts.ahead(post_id, 8, 10) == [strange]
    assert await stores.posts.ahead(post_id, 9, 10) == []


async def test_the_index_says_what_nobody_but_the_author_may_see(stores, new_post):
    """Whoever edits last, in any order of arrival; a deletion is for ever."""
    events = [
        Placed(PostEvent("published", 0, 7, at(0), visibility="private"), 0),
        Placed(PostEvent("edited", 0, 7, at(5), visibility="followers"), 1),
        Placed(PostEvent("edited", 0, 7, at(5), visibility="private"), 2),
        Placed(PostEvent("edited", 0, 7, at(4), visibility="public", body="late"), 3),
    ]
    for order in permutations(events[1:]):
        post_id, author = new_post(), new_post()
        for event, place in (events[0], *order, events[0]):
            one = replace(event, post_id=post_id, author_id=author)
            await put_one(stores, one, place)
        (row,) = await stores.posts.recent(author, 0, NOT_COVERED, 10)
        assert row.hints == 1 | hints.PRIVATE
        assert (await stores.posts.posts([post_id]))[post_id].was_private

        again = PostEvent("edited", post_id, author, at(6), visibility="public")
        await put_one(stores, again, 4)
        (row,) = await stores.posts.recent(author, 0, NOT_COVERED, 10)
        assert row.hints == 1
        stored = (await stores.posts.posts([post_id]))[post_id]
        assert (stored.visibility, stored.gone, stored.was_private) == ("public", False, True)


async def test_a_deleted_post_stays_in_the_index_and_says_so(stores, fresh):
    post_id, author = fresh(), fresh()
    await put_one(stores, PostEvent("published", post_id, author, 1000), 0)

    await put_one(stores, PostEvent("deleted", post_id, author, 2000), 1)

    found = await stores.posts.recent(author, 0, NOT_COVERED, 10)
    assert found == [Row(post_id, author, 1 | hints.GONE)]


async def published(stores, author: int, post_ids: list[int]) -> None:
    posts = [Placed(PostEvent("published", post_id, author, 1000), n) for n, post_id in enumerate(post_ids)]
    await stores.posts.put_posts(posts, dict.fromkeys(post_ids, 1))


async def found(stores, author: int, lo: int, hi: int, limit: int) -> list[int]:
    return [row.post_id for row in await stores.posts.recent(author, lo, hi, limit)]


@pytest.mark.parametrize(("limit", "expected"), [(4, [15, 14, 13, 12]), (5, [15, 14, 13, 12, 11])])
async def test_recent_gives_the_newest_up_to_the_limit(stores, fresh, limit, expected):
    author = fresh()
    await published(stores, author, [11, 12, 13, 14, 15])

    assert await found(stores, author, 0, NOT_COVERED, limit) == expected
    assert await found(stores, author, 0, NOT_COVERED, 6) == [15, 14, 13, 12, 11]


async def test_recent_includes_the_lower_and_excludes_the_upper_bound(stores, fresh):
    author = fresh()
    await published(stores, author, [11, 12, 13, 14, 15])

    assert await found(stores, author, 12, 15, 10) == [14, 13, 12]
    assert await found(stores, author, 13, 13, 10) == []
    assert await found(stores, author, 14, 13, 10) == []


async def test_recent_crosses_the_buckets(stores, fresh):
    #  bucket    0 | 1      | 2 .. 8 | 9
    #  post      a |b      c|        |d     b and c: first and last id of their bucket
    author = fresh()
    b = first_id(EPOCH_MS + BUCKET_MS)
    c = first_id(EPOCH_MS + 2 * BUCKET_MS) - 1
    a, d = b - 1, first_id(EPOCH_MS + 9 * BUCKET_MS) + 5
    assert [bucket_of(post) for post in (a, b, c, d)] == [0, 1, 1, 9]
    await published(stores, author, [a, b, c, d])

    assert await found(stores, author, 0, NOT_COVERED, 10) == [d, c, b, a]
    assert await found(stores, author, 0, NOT_COVERED, 3) == [d, c, b]
    assert await found(stores, author, b, d, 10) == [c, b]
    assert await found(stores, author, a, b, 10) == [a]
    assert await found(stores, author, c, c + 1, 10) == [c]


async def test_recent_leaves_no_bucket_out(stores, fresh):
    author = fresh()
    one_a_bucket = [first_id(EPOCH_MS + bucket * BUCKET_MS) for bucket in range(60)]
    await published(stores, author, one_a_bucket)

    assert await found(stores, author, 0, NOT_COVERED, 100) == one_a_bucket[::-1]
    assert await found(stores, author, 0, one_a_bucket[-1], 40) == one_a_bucket[-2:-42:-1]


async def test_recent_is_of_one_author(stores, fresh):
    author = fresh()
    await published(stores, author, [1])
    await published(stores, author + 1, [2])

    assert await found(stores, author, 0, NOT_COVERED, 10) == [1]


@pytest.mark.parametrize(
    ("actions", "hidden_in"),
    [
        ([("down", ["eu", "us"], 10)], {"eu", "us"}),
        ([("down", ["eu", "us"], 10), ("restore", ["eu"], 20)], {"us"}),
        ([("down", ["eu", "us"], 10), ("restore", ["*"], 20)], set()),
        ([("down", ["eu", "us"], 10), ("restore", ["*"], 20), ("down", ["eu"], 30)], {"eu"}),
        ([("down", ["*"], 10), ("restore", ["eu"], 20)], {"*"}),
        ([("down", ["*"], 10), ("restore", ["*"], 20)], set()),
        ([("down", ["eu"], 10), ("restore", ["eu"], 20), ("down", ["eu"], 30)], {"eu"}),
        ([("down", ["eu"], 20), ("restore", ["eu"], 20.5)], set()),
        ([("down", ["eu"], 20), ("restore", ["*"], 20.5)], set()),
        ([("restore", ["eu"], 20), ("down", ["eu"], 20.5)], {"eu"}),
        ([("restore", ["*"], 20), ("down", ["eu"], 20.5)], {"eu"}),
        ([("down", ["eu"], 20), ("restore", ["eu"], 19)], {"eu"}),
    ],
)
async def test_take_downs_end_the_same_in_any_order(stores, fresh, actions, hidden_in):
    """A half: of the same millisecond, and later on the partition."""
    first = fresh()
    orders = list(permutations(actions))
    posts = [first + n for n in range(len(orders))]
    await stores.posts.put_posts([life(post_id)[0] for post_id in posts], dict.fromkeys(posts, 1))

    for post_id, order in zip(posts, orders, strict=True):
        for action, regions, at in order * 2:
            change = stores.posts.take_down if action == "down" else stores.posts.restore
            await change(post_id, regions, Version(BORN + int(at), int(2 * at)))

    stored = await stores.posts.posts(posts)
    assert [stored[post_id].taken_down for post_id in posts] == [hidden_in] * len(posts)


async def test_more_posts_than_fit_into_one_query(stores, fresh):
    posts = range(first := fresh(), first + 250)

    await stores.posts.put_posts([life(post_id)[0] for post_id in posts], dict.fromkeys(posts, 1))

    assert await stores.posts.posts(posts) == {post_id: as_stored(post_id) for post_id in posts}
