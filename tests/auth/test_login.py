"""How to log in at Cassandra, as a cqlshrc says it."""

import pytest

from pipeline.auth import login
from pipeline.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cqlshrc"


def test_what_cqlsh_reads_is_read(file):
    file.write_text("[authentication]\nusername = workers\npassword = 100%s\n[ui]\ncolor = on\n")

    found = login.read(file)

    assert (found.username, found.password, found.tls) == ("workers", "100%s", False)
    assert found.context() is None
    assert "100%s" not in repr(found)


def test_tls_checks_the_certificate_and_the_name(file):
    file.write_text("[connection]\nssl = true\n")

    context = login.read(file, "of the environment").context()

    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ssl]\nvalidate = false\n", "validate: certificates are always checked"),
        ("[ssl]\ncertfile = /nowhere.pem\n", "/nowhere.pem is no file"),
        ("[connection]\nssl = perhaps\n", "Not a boolean: perhaps"),
        ("username = me\n", "File contains no section headers"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_file(file, text, message):
    file.write_text(text)

    with pytest.raises(ConfigError) as refused:
        login.read(file)

    assert refused.value.message.startswith(f"{file}: {message}")


def test_a_login_is_for_its_address_alone():
    login.use("one:9042", login.Login("me", "secret"))

    assert login.login_of("one:9042").username == "me"
    assert login.login_of("two:9042") == login.Login()
