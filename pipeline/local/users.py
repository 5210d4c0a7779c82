"""The users of a secured home: one for each principal of `topology/acls.yaml`, with its files in HOME/secure.

Whoever has a file can log in at Kafka as that user, and may there what the topology allows its role. Only the
workers may read and write tables.
"""

from collections.abc import Iterable
from pathlib import Path

from pipeline.auth import login
from pipeline.kafka.acls import Acls
from pipeline.kafka.client import read
from pipeline.local import secure
from pipeline.local.home import Endpoints
from pipeline.local.logins import cassandra_file, kafka_file
from pipeline.runtime import acls
from pipeline.store.cassandra import connect, roles
from pipeline.topology import Topology

WORKERS = "workers"
"""The user of the stages that `run` starts."""


async def bring(home: Path, endpoints: Endpoints, whole: Topology, keyspaces: Iterable[str]) -> None:
    """Make the users that are missing, and bring all permissions to the topology."""
    users = [
        name for kind, _, name in (one.partition(":") for one in acls.principals(whole)) if kind == "User"
    ]
    for user in users:
        secure.make_user(home, user)
    kafka = Acls(endpoints.kafka)
    kafka.put_users({user: read(kafka_file(home, user)).properties["sasl.password"] for user in users})
    acls.apply(whole, kafka)
    db = await connect(endpoints.cassandra)
    try:
        await roles.make(db, login.read(cassandra_file(home, WORKERS)))
        for keyspace in keyspaces:
            await roles.let_work(db, WORKERS, keyspace)
    finally:
        await db.close()
