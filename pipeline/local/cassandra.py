"""A one-node Apache Cassandra below HOME/cassandra.

`configure` renders its files, `command` starts it, `is_ready` speaks one frame of CQL with it. `down` loses
nothing. A SIGKILL may lose the acknowledged writes of the last tenths of a second and a power cut those of
the last 2 s, see `commitlog_sync` below.
"""

import os
import re
import socket
from pathlib import Path

from pipeline.auth.login import login_of
from pipeline.errors import ConfigError
from pipeline.local import secure
from pipeline.local.process import LOOPBACK

TITLE = "Cassandra"
COORDINATE = "org.apache.cassandra:cassandra-all:5.0.7"

DEFAULT_HEAP = "1g"

# Measured on two cores that others loaded too, hence in thousands of rows per second of the server's CPU,
# one number a round (UNLOGGED batches of 100, 32 in flight, 1g heap, second and third 10 s, interleaved):
# G1 60 69 25 35, Parallel 53 56 41 41, Serial 42 34 28, G1 with C1 alone 45 37 33. The machine was busiest
# in the last two rounds. So Serial and C1 are out (C1 starts with 3 to 4 s of CPU instead of 6 to 10), G1
# and Parallel are a draw; G1 is what Cassandra is shipped with.
JVM = [
    "-XX:+UseG1GC",
    "-Xss256k",
    "-XX:+PerfDisableSharedMem",  # no GC pause may wait for the disk to take hsperfdata
    "-XX:-UseBiasedLocking",
    "-XX:+ExitOnOutOfMemoryError",  # a dead engine is restarted by `up`, a half-dead one only hangs
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.useCacheForAllThreads=true",
    "-Dio.netty.allocator.maxOrder=11",
    "-Djna.nosys=true",
    # One node has nobody to wait for.
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=0",
    "-Dcassandra.shutdown_announce_in_ms=0",  # two seconds by default, for other nodes to hear that it goes
    "-Dcassandra.superuser_setup_delay_ms=0",
    # Passwords of a secured home are drawn, so there is nothing that a slow hash would protect; with the
    # stock 10 fourteen workers that connected at once took longer than their time-out on a busy machine.
    "-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4",
]

# What Cassandra's own start script (conf/jvm17-server.options) opens on Java 17.
OPENED = [
    *("java.lang", "java.io", "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.nio"),
    *("java.lang.module", "java.lang.reflect", "java.math", "java.net", "sun.nio.ch"),
    *("jdk.internal.loader", "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.math"),
    *("jdk.internal.module", "jdk.internal.util.jar"),
]
EXPORTED = [
    *("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/java.lang.ref"),
    *("java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server", "jdk.attach/sun.tools.attach"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.sql/java.sql", "jdk.unsupported/sun.misc"),
]

YAML = """\
cluster_name: tideline
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
num_tokens: 1
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "{host}:{storage_port}"}}]
listen_address: {host}
storage_port: {storage_port}
rpc_address: {host}
native_transport_port: {port}
start_native_transport: true

data_file_directories: ["{data}/sstables"]
commitlog_directory: "{data}/commitlog"
saved_caches_directory: "{data}/saved_caches"
hints_directory: "{data}/hints"
cdc_raw_directory: "{data}/cdc_raw"

# Acknowledges before the sync: replay after a SIGKILL stops at the last marker in the log, and those are
# written every 100 ms, later on a busy machine. Seen: of 7 kills under load 3 lost acknowledged batches, 26
# to 71 of 100 rows each. `batch` and `group` lost none in 9 kills, but in runs between those periodic wrote
# 14,000 to 27,000 rows/s, `batch` 5,000 to 9,500 and `group` 600 to 3,200: each row of a batch over many
# partitions keeps a thread waiting for a sync.
commitlog_sync: periodic
commitlog_sync_period: 2000ms
commitlog_segment_size: 32MiB
commitlog_total_space: 1024MiB

# Tries in native memory keep the heap small and its collections short.
memtable:
  configurations:
    trie: {{class_name: TrieMemtable}}
    default: {{inherits: trie}}
memtable_allocation_type: offheap_objects
memtable_offheap_space: 512MiB
memtable_heap_space: 256MiB

# Timeline batches span many partitions by design; they are grouped by replica set and capped in bytes by
# the writer.
batch_size_warn_threshold: 512KiB
batch_size_fail_threshold: 2048KiB
unlogged_batch_across_partitions_warn_threshold: 2000

# Two cores, shared with Kafka and the workers: more threads than this only take turns.
concurrent_reads: 8
concurrent_writes: 8
concurrent_counter_writes: 2
concurrent_materialized_view_writes: 2
concurrent_compactors: 1
compaction_throughput: 32MiB/s
memtable_flush_writers: 1
native_transport_max_threads: 8
key_cache_size: 16MiB
file_cache_size: 128MiB
networking_cache_size: 32MiB

# A lone node has nobody to hint to; dropped test tables should leave the disk, not move into snapshots.
hinted_handoff_enabled: false
auto_snapshot: false
snapshot_before_compaction: false
incremental_backups: false
cdc_enabled: false
disk_failure_policy: die
commit_failure_policy: die
"""

SECURED = """
authenticator: {{class_name: PasswordAuthenticator}}
authorizer: {{class_name: CassandraAuthorizer}}
role_manager: {{class_name: CassandraRoleManager}}
client_encryption_options:
  enabled: true
  optional: false
  keystore: "{keystore}"
  keystore_password: "{keystore_password}"
  store_type: PKCS12
"""

LOGBACK = """\
<configuration>
  <appender name="stdout" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %level %msg \\(%logger{0}\\)%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="stdout"/></root>
</configuration>
"""


def configure(home: Path, port: int, storage_port: int) -> None:
    """Render the configuration below HOME/cassandra."""
    folder = home / "cassandra"
    folder.mkdir(parents=True, exist_ok=True)
    yaml = YAML.format(host=LOOPBACK, port=port, storage_port=storage_port, data=folder / "data")
    if secure.is_secure(home):
        yaml += SECURED.format(
            keystore=secure.keystore(home), keystore_password=secure.keystore_password(home)
        )
    secure.private(folder / "cassandra.yaml", yaml)
    (folder / "logback.xml").write_text(LOGBACK)


def heap() -> str:
    """The size of the heap as Java writes it: TIDELINE_CASSANDRA_HEAP, or 1g."""
    size = os.environ.get("TIDELINE_CASSANDRA_HEAP") or DEFAULT_HEAP
    if not re.fullmatch(r"[1-9][0-9]*[mMgG]", size):
        raise ConfigError(f"TIDELINE_CASSANDRA_HEAP={size} is not a heap size", "write it as 1500m or 2g")
    return size


def command(classpath: str, home: Path) -> list[str]:
    """The arguments for Java."""
    folder = home / "cassandra"
    # The agent by which Cassandra measures what its memtables hold.
    jamm = next(jar for jar in classpath.split(os.pathsep) if "/jamm-" in jar)
    return [
        f"-Xms{heap()}",
        f"-Xmx{heap()}",
        *JVM,
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
        "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
        *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED),
        f"-javaagent:{jamm}",
        f"-Dcassandra.config={(folder / 'cassandra.yaml').as_uri()}",
        f"-Dcassandra.storagedir={folder / 'data'}",
        f"-Dlogback.configurationFile={folder / 'logback.xml'}",
        f"-XX:ErrorFile={home / 'logs' / 'cassandra-crash-%p.log'}",
        "-cp",
        classpath,
        "org.apache.cassandra.service.CassandraDaemon",
    ]


def prepare(classpath: str, home: Path) -> None:
    """Nothing: Cassandra makes its own directories."""


def is_ready(address: str) -> bool:
    """Whether a node of `host:port[,host:port…]` speaks CQL; the port is the last thing a starting node
    opens.
    """
    return any(_supports_cql(node, address) for node in address.split(","))


def _supports_cql(node: str, address: str) -> bool:
    """One frame by hand, because the driver belongs to pipeline/store and takes half a second to connect."""
    host, _, port = node.rpartition(":")
    options = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])  # version 4, no flags, stream 0, opcode OPTIONS, empty body
    supported = 6
    try:
        with socket.create_connection((host, int(port)), timeout=2) as plain:
            context = login_of(address).context()
            with context.wrap_socket(plain, server_hostname=host) if context else plain as connection:
                connection.sendall(options)
                header = connection.recv(9)
    except OSError:
        return False
    return len(header) == 9 and header[4] == supported
