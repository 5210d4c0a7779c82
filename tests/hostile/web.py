"""Garbage over HTTP: requests that no client would make, and bytes that are no requests."""

import http.client
import random
import socket
from collections import Counter
from contextlib import suppress
from urllib.parse import quote, urlsplit

TIMEOUT_S = 15.0


class Garbage:
    """Asks an API for what it has not. `answers`: how often which status came; 0: the connection was closed."""

    def __init__(self, api: str, seed: int) -> None:
        self._host, self._port = urlsplit(api).hostname or "", urlsplit(api).port or 80
        self._random = random.Random(f"garbage {seed}")
        self.answers: Counter[int] = Counter()

    def ask(self) -> None:
        """One request, whatever comes of it."""
        way = self._random.choice([self._odd, self._odd, self._odd, self._raw])
        with suppress(OSError, http.client.HTTPException):
            self.answers[way()] += 1
            return
        self.answers[0] += 1

    @property
    def errors(self) -> int:
        """Answers that say that the server broke, or could not."""
        return sum(number for status, number in self.answers.items() if status >= 500)

    def _text(self) -> str:
        return quote(self._random.randbytes(self._random.randrange(1, 60)))

    def _odd(self) -> int:
        """A request in form, of nonsense."""
        reader = self._random.choice(
            ["0", "-1", "1e3", "9" * 19, "9" * 400, "%00", "../../metrics", self._text()]
        )
        query = self._random.choice(
            [
                "",
                "limit=0",
                f"cursor={self._text()}",
                "mode=worst",
                "limit=1&limit=2",
                "explain=%ff",
                self._text() * 40,
            ]
        )
        path = self._random.choice(
            [
                f"/v1/readers/{reader}/timeline?{query}",
                f"/v1/readers/{reader}/following/{self._text()}",
                f"/v1/posts/{reader}?reader_id={self._text()}",
                f"/{self._text()}",
                "/v1/openapi.json",
            ]
        )
        headers = self._random.choice(
            [
                {},
                {"Authorization": "Bearer " + self._text()},
                {"Request-Timeout-Ms": "-1"},
                {"If-None-Match": '"' * 500},
                {"X-Request-Id": "\x07" * 3 + "x" * 2000},
                {f"X-{n}": "v" * 100 for n in range(60)},
            ]
        )
        method = self._random.choice(["GET", "GET", "GET", "HEAD", "POST", "DELETE", "PROPFIND"])
        body = self._random.randbytes(100_000) if method == "POST" else None
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _raw(self) -> int:
        """No request at all."""
        sent = self._random.choice(
            [
                self._random.randbytes(500),
                b"GET / HTTP/9.9\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                b"POST /v1/posts/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            ]
        )
        with socket.create_connection((self._host, self._port), timeout=TIMEOUT_S) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            words = connection.recv(100).split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
