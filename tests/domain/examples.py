"""How many examples a property is tried with."""

from hypothesis import settings


def at_least(examples: int) -> settings:
    """As many as the profile gives, but never fewer than this."""
    return settings(max_examples=max(examples, settings().max_examples))
