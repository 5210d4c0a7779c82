"""What a stage is made of: an API that asks for tokens does not start without keys to verify them."""

import pytest

from pipeline import serving, topology, worker
from pipeline.errors import ConfigError
from pipeline.local import instance
from pipeline.settings import Settings


def test_an_api_that_asks_for_tokens_has_keys(tmp_path):
    """Those given, or those of the home."""
    settings, wanted = Settings(home=tmp_path, token_keys=""), topology.load()

    with pytest.raises(ConfigError, match="no key to verify") as caught:
        serving.token_keys(settings, wanted)
    assert "TIDELINE_TOKEN_KEYS" in caught.value.hint

    instance.token_keys(tmp_path)
    assert serving.token_keys(settings, wanted) is not None


def test_one_that_asks_for_none_has_none(tmp_path):
    """Though the home has some."""
    instance.token_keys(tmp_path)

    assert serving.token_keys(Settings(home=tmp_path), topology.load(profile="small-graph")) is None


def test_a_worker_refuses_before_it_opens_anything(tmp_path):
    """Nothing answers at these addresses, and nothing is asked."""
    settings = Settings(home=tmp_path, token_keys="")

    with pytest.raises(ConfigError, match="no key to verify"):
        worker.run("api", settings, "127.0.0.1:9", "127.0.0.1:9", topology.load())
