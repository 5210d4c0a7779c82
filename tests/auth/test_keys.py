"""Keys of settings: in their order, and refused without telling a secret. Tokens' own cases: test_tokens.py."""

import pytest

from pipeline.auth.keys import parse
from pipeline.errors import ConfigError


def test_the_order_is_kept_and_spaces_are_forgiven():
    assert list(parse(f"b:{'1' * 32}, a:{'2' * 32}", "KEYS").items()) == [("b", b"1" * 32), ("a", b"2" * 32)]


@pytest.mark.parametrize(("length", "refused"), [(31, True), (32, False), (33, False)])
def test_a_secret_is_as_long_as_the_hash(length, refused):
    if not refused:
        assert parse(f"k:{'s' * length}", "KEYS") == {"k": b"s" * length}
        return
    with pytest.raises(ConfigError, match="KEYS: the secret of k is too short") as caught:
        parse(f"k:{'s' * length}", "KEYS")
    assert "sss" not in caught.value.message + caught.value.hint
