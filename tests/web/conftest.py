"""An API for each test."""

import pytest

from tests.web.server import Server


@pytest.fixture
async def server():
    """One that asks for tokens, with room for as many requests as a test makes."""
    async with Server() as server:
        yield server


@pytest.fixture
async def open_server():
    """One that asks for none."""
    async with Server(keys=None) as server:
        yield server
