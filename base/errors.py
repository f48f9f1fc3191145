"""The one error a user is meant to read: a sentence that names the thing and the mend.

Decisions: docs/decisions/execution.md.
"""


class RalmError(Exception):
    """Something the user can mend: a bad file, config, store, model or request.

    Its message is one sentence that names the thing and says what to do. The command line prints
    it without a traceback and exits with code 2; the server answers with a 4xx.
    """


class Unavailable(RalmError):
    """What was asked is right, and cannot be done just now: a machine, a connection or a server that ends.

    The server answers with 503; on a cluster the task is done again, which another worker may manage.
    """


class Busy(Unavailable):
    """So many wait already that one more is turned away at once.

    The server answers with 429, and `seconds` as Retry-After.
    """

    def __init__(self, sentence: str, seconds: int = 1) -> None:
        super().__init__(sentence)
        self.seconds = seconds
