"""A running API against its own document: requests made of the document by schemathesis, good ones and bad ones."""

from collections import Counter
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from pipeline.web.reads import TIMEOUT

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
"""Not whether good data is accepted: a cursor that is made of the document alone is a forged one."""


def fuzz(url: str, examples: int, headers: dict[str, str]) -> Counter[tuple[str, int]]:
    """Ask every path with so many requests of either kind, the same each time; fails on the first wrong answer.

    Returns how often each path answered with each status.
    """
    schema = schemathesis.openapi.from_dict(described(url))
    told: Counter[tuple[str, int]] = Counter()
    with requests.Session() as session:

        def ask(case):
            if case.headers.get(TIMEOUT, "0").isdigit():
                case.headers[TIMEOUT] = "10000"  # what has no time is a 503 by right
            answer = case.call(url, session=session, headers=headers)
            told[case.path, answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        for path, operations in schema.items():
            bad = [GenerationMode.NEGATIVE] if "{" in path else []  # the others take any text they get
            for mode in (GenerationMode.POSITIVE, *bad):
                drawn = given(operations["GET"].as_strategy(mode))
                bounded(examples)(drawn(ask))()
    return told


def described(url: str) -> dict[str, Any]:
    """The document, without its security: tokens are ours, and how bad ones are refused has tests of its own."""
    document = requests.get(f"{url}/v1/openapi.json", timeout=30).json()
    for operations in document["paths"].values():
        operations["get"]["security"] = []
    return document


def bounded(examples: int) -> settings:
    """So many, the same in each run, without a look at the clock, and as they come."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
