"""How to log in at Cassandra, from a file as cqlsh reads it, so that one file serves both.

```
[authentication]
username = tideline
password = …
[connection]
ssl = true
[ssl]
certfile = /etc/tideline/ca.pem
userkey = …    ; with usercert, where the server asks clients for a certificate
usercert = …
```

A login belongs to one address: another cluster is never given it. The server's certificate is always checked,
and that it is for the name that was dialled.
"""

import configparser
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are, and what we trust. Empty: no TLS and nobody to log in as."""

    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    certfile: str | None = None
    usercert: str | None = None
    userkey: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """TLS for the driver; None without TLS."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.certfile)
        if self.usercert:
            context.load_cert_chain(self.usercert, self.userkey)
        return context


_OPEN = Login()
_logins: dict[str, Login] = {}


def use(contact_points: str, login: Login) -> None:
    """From now on sessions with this address log in like this."""
    _logins[contact_points] = login


def login_of(contact_points: str) -> Login:
    """How sessions with this address log in."""
    return _logins.get(contact_points, _OPEN)


def read(file: Path, password: str = "") -> Login:
    """What a file says, with this password in place of the file's. Raises ConfigError that names it."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(), str(file))
        login = Login(
            username=parser.get("authentication", "username", fallback=""),
            password=password or parser.get("authentication", "password", fallback=""),
            tls=parser.getboolean("connection", "ssl", fallback=False),
            certfile=parser.get("ssl", "certfile", fallback=None),
            usercert=parser.get("ssl", "usercert", fallback=None),
            userkey=parser.get("ssl", "userkey", fallback=None),
        )
        checked = parser.getboolean("ssl", "validate", fallback=True)
    except (OSError, ValueError, configparser.Error) as error:
        text = str(error).replace("\n", " ")
        raise ConfigError(f"{file}: {text}", "TIDELINE_CASSANDRA_CONFIG names it") from error
    if not checked:
        raise ConfigError(f"{file}: validate: certificates are always checked", "name the CA with certfile")
    for name in (login.certfile, login.usercert, login.userkey):
        if name is not None and not Path(name).is_file():
            raise ConfigError(f"{file}: {name} is no file", "certfile, usercert and userkey are PEM files")
    return login
