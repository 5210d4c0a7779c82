"""How many examples a property is tried with: Hypothesis profiles for the rules and the stages.

`pytest tests/domain tests/agents --hypothesis-profile thorough` before a release. No deadlines: a busy machine
is not a bug. A test that needs more examples than the profile gives says so with `at_least`.
"""

from hypothesis import settings

settings.register_profile("tideline", deadline=None, max_examples=200)
settings.register_profile("thorough", deadline=None, max_examples=20_000)
if settings.get_current_profile_name() == "default":  # none was asked for
    settings.load_profile("tideline")


def at_least(examples: int) -> settings:
    """As many as the profile gives, but never fewer than this."""
    return settings(max_examples=max(examples, settings().max_examples))
