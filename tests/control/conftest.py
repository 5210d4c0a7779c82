"""The command line as users run it; the profiles are known before the first test is."""

from tests.domain import examples  # noqa: F401
from tests.ops.conftest import tap, tideline  # noqa: F401
