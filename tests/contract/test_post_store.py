"""PostStore: posts end the same in any order of their events; the index finds the newest first."""

from itertools import permutations

import pytest

from pipeline.domain.merge import Row
from pipeline.domain.snowflake import BUCKET_MS, EPOCH_MS, bucket_of, first_id
from pipeline.records import PostEvent
from pipeline.store.values import NOT_COVERED, StoredPost

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE = {"kind": "image", "url": "https://example.org/tide.png"}


def life(post_id: int) -> list[PostEvent]:
    """A post that is edited twice, then deleted."""
    return [
        PostEvent("published", post_id, 7, 1000, "public", "eu", "first", (PICTURE,)),
        PostEvent("edited", post_id, 7, 2000, body="second", visibility="followers"),
        PostEvent("edited", post_id, 7, 3000, body="third"),
        PostEvent("deleted", post_id, 7, 4000),
    ]


def as_stored(post_id: int, **changed: object) -> StoredPost:
    first = {"visibility": "public", "region": "eu", "body": "first", "media": (PICTURE,)}
    rest = {"edited_at": None, "deleted": False, "taken_down": frozenset()}
    return StoredPost(post_id=post_id, author_id=7, created_at=1000, **{**first, **rest, **changed})


async def test_a_published_post_is_stored_and_indexed(stores, fresh):
    post_id, author = fresh(), fresh()

    await stores.posts.put_posts(
        [PostEvent("published", post_id, author, 1000, "public", "eu", "first")], {post_id: -5}
    )

    assert await stores.posts.posts([post_id, post_id + 1]) == {
        post_id: StoredPost(
            post_id, author, 1000, "public", "eu", "first", (), None, deleted=False, taken_down=frozenset()
        )
    }
    assert await stores.posts.authors_of([post_id, post_id + 1]) == {post_id: author}
    assert await stores.posts.recent(author, 0, NOT_COVERED, 10) == [Row(post_id, author, -5)]


async def test_events_of_a_post_end_the_same_in_any_order_and_number(stores, fresh):
    first = fresh()
    orders = list(permutations(range(4)))

    for n, order in enumerate(orders):
        for event in order * 2:
            await stores.posts.put_posts([life(first + n)[event]], {first + n: 1})

    assert await stores.posts.posts([first + n for n in range(len(orders))]) == {
        post_id: as_stored(post_id, body="third", visibility="followers", edited_at=3000, deleted=True)
        for post_id in range(first, first + len(orders))
    }


async def test_a_whole_life_in_one_batch(stores, fresh):
    post_id = fresh()

    await stores.posts.put_posts(life(post_id)[:3], {post_id: 1})

    assert await stores.posts.posts([post_id]) == {
        post_id: as_stored(post_id, body="third", visibility="followers", edited_at=3000)
    }


async def test_an_edit_changes_only_what_it_names(stores, fresh):
    post_id = fresh()
    await stores.posts.put_posts(life(post_id)[:1], {post_id: 1})

    await stores.posts.put_posts([PostEvent("edited", post_id, 7, 2000, media=())], {})

    assert await stores.posts.posts([post_id]) == {post_id: as_stored(post_id, media=(), edited_at=2000)}


async def test_an_edit_of_the_same_millisecond_wins_over_the_publication(stores, fresh):
    post_id = fresh()
    edit = PostEvent("edited", post_id, 7, 1000, body="a")

    for event in (life(post_id)[0], edit, life(post_id)[0]):
        await stores.posts.put_posts([event], {post_id: 1})

    assert await stores.posts.posts([post_id]) == {post_id: as_stored(post_id, body="a", edited_at=1000)}


async def test_what_came_before_the_post_is_not_a_post(stores, fresh):
    post_id = fresh()

    await stores.posts.put_posts(life(post_id)[1:], {})
    await stores.posts.take_down(post_id, ["eu"], 1000)

    assert await stores.posts.posts([post_id]) == {}
    assert await stores.posts.authors_of([post_id]) == {}


async def test_a_deleted_post_stays_in_the_index(stores, fresh):
    post_id, author = fresh(), fresh()
    await stores.posts.put_posts([PostEvent("published", post_id, author, 1000)], {post_id: 1})

    await stores.posts.put_posts([PostEvent("deleted", post_id, author, 2000)], {})

    assert await stores.posts.recent(author, 0, NOT_COVERED, 10) == [Row(post_id, author, 1)]


async def published(stores, author: int, post_ids: list[int]) -> None:
    posts = [PostEvent("published", post_id, author, 1000) for post_id in post_ids]
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
        ([("down", ["eu"], 20), ("restore", ["eu"], 20)], set()),
        ([("down", ["eu"], 20), ("restore", ["*"], 20)], set()),
        ([("down", ["eu"], 20), ("restore", ["eu"], 19)], {"eu"}),
    ],
)
async def test_take_downs_end_the_same_in_any_order(stores, fresh, actions, hidden_in):
    first = fresh()
    orders = list(permutations(actions))
    posts = [first + n for n in range(len(orders))]
    await stores.posts.put_posts([life(post_id)[0] for post_id in posts], dict.fromkeys(posts, 1))

    for post_id, order in zip(posts, orders, strict=True):
        for action, regions, at in order * 2:
            change = stores.posts.take_down if action == "down" else stores.posts.restore
            await change(post_id, regions, at)

    stored = await stores.posts.posts(posts)
    assert [stored[post_id].taken_down for post_id in posts] == [hidden_in] * len(posts)


async def test_more_posts_than_fit_into_one_query(stores, fresh):
    posts = range(first := fresh(), first + 250)

    await stores.posts.put_posts([life(post_id)[0] for post_id in posts], dict.fromkeys(posts, 1))

    assert await stores.posts.posts(posts) == {post_id: as_stored(post_id) for post_id in posts}
