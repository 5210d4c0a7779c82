"""The API process listens twice, and tells its supervisor where."""

import json

import aiohttp

from pipeline.config.settings import Settings
from pipeline.runtime import serving, wiring, worker
from tests.web.server import TIMELINE, Server


async def test_the_process_has_a_port_for_pages_and_one_beside_it(tmp_path, monkeypatch):
    """`port` is that of the metrics, as every worker's."""
    monkeypatch.setenv("TIDELINE_READY_FILE", str(tmp_path / "ready"))
    monkeypatch.setattr(serving, "tune", lambda: None)
    async with Server() as server, aiohttp.ClientSession() as client:
        monkeypatch.setattr(wiring, "api", lambda resources: server.made())

        async def status(port, path):
            async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status

        async with worker._api(None, Settings(port=0, metrics_port=0)) as ended:
            told = json.loads((tmp_path / "ready").read_bytes())
            assert [await status(told["api"], path) for path in (TIMELINE, "/metrics")] == [401, 404]
            assert [await status(told["port"], path) for path in (TIMELINE, "/metrics", "/readyz")] == [
                404,
                200,
                200,
            ]
            assert not ended.done()
