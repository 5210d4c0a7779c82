"""A stage that only a test has: posts by region, as somebody would add one (`tests/test_path.py`)."""

from collections import Counter

POSTS: Counter[str] = Counter()


class Regions:
    """Counts what it reads.

    Reads posts.classified; writes nothing; a post that comes twice counts twice.
    """

    def __init__(self) -> None:
        POSTS.clear()

    async def handle(self, batch):
        """A batch of posts, decoded."""
        POSTS.update(one.record.region for one in batch)
        return []


def build(_resources):
    """As `runtime.wiring` builds those that are shipped."""
    return Regions().handle
