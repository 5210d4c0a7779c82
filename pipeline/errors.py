"""Every error a user or an operator can meet, in one small tree."""


class TidelineError(Exception):
    """Something the user can act on: what happened, and what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(TidelineError):
    """A file or a setting that cannot be used; the message names file, line and key."""


class EngineError(TidelineError):
    """Kafka or Cassandra could not be started or reached."""


class Unavailable(TidelineError):  # noqa: N818 - what it is, not that it is an error
    """An engine did not answer in time, and nothing else: the outcome of the last write is unknown, so it is
    tried again, without end.
    """


class Unprocessable(TidelineError):  # noqa: N818 - what it is, not that it is an error
    """An engine answers, and will never do this: it is about one record, key or partition.

    Nobody tries it again: the safe loop makes the record a dead letter, an API answers with an error.
    """
