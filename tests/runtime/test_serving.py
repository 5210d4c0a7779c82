"""What a stage is made of: an API that asks for tokens does not start without keys to verify them."""

import pytest

from pipeline import topology
from pipeline.auth import home_keys
from pipeline.config.settings import Settings
from pipeline.errors import ConfigError
from pipeline.runtime import serving, worker

CURSORS = f"k1:{'c' * 32}"


def test_an_api_that_asks_for_tokens_has_keys(tmp_path):
    """Those given, or those of the home."""
    settings, wanted = Settings(home=tmp_path, token_keys=""), topology.load()

    with pytest.raises(ConfigError, match="no key to verify") as caught:
        serving.token_keys(settings, wanted)
    assert "TIDELINE_TOKEN_KEYS" in caught.value.hint

    home_keys.token_keys(tmp_path)
    assert serving.token_keys(settings, wanted) is not None


def test_one_that_asks_for_none_has_none(tmp_path):
    """Though the home has some."""
    home_keys.token_keys(tmp_path)

    assert serving.token_keys(Settings(home=tmp_path), topology.load(profile="small-graph")) is None


def test_a_worker_refuses_before_it_opens_anything(tmp_path):
    """Nothing answers at these addresses, and nothing is asked."""
    settings = Settings(home=tmp_path, token_keys="", cursor_keys=CURSORS)

    with pytest.raises(ConfigError, match="no key to verify"):
        worker.run("api", settings, "127.0.0.1:9", "127.0.0.1:9", topology.load())


@pytest.mark.parametrize("stage", ["api", "query"])
def test_nothing_serves_pages_without_a_key_for_cursors(tmp_path, stage):
    """One of its own would be refused by every other host. Too short a secret is said before anything else."""
    for given, reason in (("", "no key to sign cursors"), ("k1:short", "the secret of k1 is too short")):
        settings = Settings(home=tmp_path, token_keys=CURSORS, cursor_keys=given)

        with pytest.raises(ConfigError, match=reason) as caught:
            worker.run(stage, settings, "127.0.0.1:9", "127.0.0.1:9", topology.load())
        assert "TIDELINE_CURSOR_KEYS" in caught.value.hint + caught.value.message


def test_all_hosts_with_the_same_settings_have_the_same_keys(tmp_path):
    """Another key for another domain; the first of the settings signs."""
    one, other = (Settings(home=tmp_path / name, cursor_keys=f"new:{'n' * 32},{CURSORS}") for name in "ab")

    assert serving.cursor_keys(one, "") == serving.cursor_keys(other, "")
    assert serving.cursor_keys(one, "")[1:] == serving.cursor_keys(Settings(cursor_keys=CURSORS), "")
    assert not set(serving.cursor_keys(one, "")) & set(serving.cursor_keys(one, "notifications"))
