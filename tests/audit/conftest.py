"""The profiles are known before the first test is."""

from tests.domain import examples  # noqa: F401
