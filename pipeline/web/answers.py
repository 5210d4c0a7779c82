"""What is read, as an answer: an unchanged one costs its headers, a long one is compressed.

The ETag is weak: a page that says the same has the same one, whatever its cursor's bytes and its compression.
"""

import hashlib

from aiohttp import ETag, web

COMPRESSED_FROM = 1_024
"""Bytes. Below, the packet is as long either way."""

_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}


def answer(request: web.Request, body: bytes, *, same: bytes | None = None) -> web.Response:
    """The JSON, or 304 when the client has it. `same`: what makes two answers the same; else the body."""
    tag = ETag(hashlib.blake2b(body if same is None else same, digest_size=16).hexdigest(), is_weak=True)
    if any(known.value in ("*", tag.value) for known in request.if_none_match or ()):
        found = web.Response(status=304, headers=_HEADERS)
    else:
        found = web.Response(body=body, content_type="application/json", headers=_HEADERS)
        accepted = ",".join(request.headers.getall("Accept-Encoding", []))
        if len(body) > COMPRESSED_FROM and accepts_gzip(accepted):
            found.enable_compression(web.ContentCoding.gzip)
    found.etag = tag
    return found


def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding allows gzip, by name or by `*`, with a weight above 0 (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = _weight(weight.replace(" ", ""))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(text: str) -> float:
    """1 without a weight, 0 for what is none."""
    try:
        return float(text.removeprefix("q=")) if text else 1.0
    except ValueError:
        return 0.0
