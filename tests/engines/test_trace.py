"""`tideline trace` and `tideline advise` on a running instance, with the writer of a tier stopped."""

import json

from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.test_isolation import LARGE, LONG, stopped
from tests.waiting import eventually


def traced(instance: Instance, post: events.Event) -> dict:
    return json.loads(instance.tideline("trace", str(post["post_id"]), "--json"))


def test_a_post_is_followed_from_its_publish_to_its_last_row(instance: Instance) -> None:
    celebrity, *fans = events.take(LARGE + 1)
    instance.publish(events.followed(celebrity, *fans))
    instance.settle()
    instance.await_covered(celebrity, fans[:1])
    post = events.post(celebrity)

    with stopped(instance, "fanout.large"):
        instance.publish(*(events.post(celebrity, f"before {number}") for number in range(5)), post)
        eventually(lambda: instance.lag("fanout.large").lag == 6, LONG)
        waits = traced(instance, post)
    instance.settle()
    done = traced(instance, post)
    text = instance.tideline("trace", str(post["post_id"])).splitlines()

    whats = ["published", "task", "classified"]
    assert [hop["what"] for hop in waits["hops"]] == whats
    assert (waits["class"], waits["tier"], waits["visible_to_all"]) == ("push", "large", False)
    assert waits["verdict"].startswith("waiting at fanout.large partition ")
    assert "5 records before it" in waits["verdict"]  # one segment has one shard, so they wait in one line
    assert waits["reached"] == {
        "followers": LARGE,
        "asked": LARGE,
        "exact": True,
        "rows": 0,
        "pull": 0,
        "neither": LARGE,
    }
    assert [hop["done"] for hop in done["hops"] if hop["stage"]] == [True, True]
    assert (done["segments"], done["reached"]["rows"]) == ({"seen": 1, "written": 1}, LARGE)
    assert (done["visible_to_all"], done["cut"], done["dead_letters"]) == (True, [], [])
    assert text[-1] == "visible to all: every row is written, and who has none pulls it"


def test_a_deleted_post_is_visible_to_nobody(instance: Instance) -> None:
    (author,) = events.take(1)
    post = events.post(author)
    instance.publish(post, events.deleted(post))
    instance.settle()

    assert traced(instance, post)["verdict"] == "visible to nobody: it is deleted"


def test_a_post_nobody_has_heard_of_is_a_failure_with_a_hint(instance: Instance) -> None:
    command = instance.command("trace", str(events.post_id_at(events.now())))

    assert (command.returncode, command.stdout) == (1, "")
    assert command.stderr.startswith("error: nobody has heard of post")
    assert "\nhint: " in command.stderr
