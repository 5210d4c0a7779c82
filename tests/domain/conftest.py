"""Hypothesis profiles: `pytest tests/domain --hypothesis-profile thorough` before a release.

A test that needs more examples than the profile gives says so with `at_least` (tests/domain/examples.py).
"""

from hypothesis import settings

settings.register_profile("tideline", deadline=None, max_examples=200)
settings.register_profile("thorough", deadline=None, max_examples=20_000)
if settings.get_current_profile_name() == "default":  # none was asked for
    settings.load_profile("tideline")
