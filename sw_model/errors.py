"""The one exception for a mistake a user can make and mend."""


class UserError(Exception):
    """A mistake in what the user gave: a path, a value, a file.

    The message is one line that names the object, its value, the rule it breaks and the remedy. The command line prints it without
    a traceback and exits with status 2; nothing has been written by then.
    """

    def __init__(self, what: str, rule: str, remedy: str) -> None:
        """Build the message.

        Args:
            what: The object and its value, e.g. ``"hidden_size=100"``.
            rule: What is wrong with it, e.g. ``"is not a multiple of lanes=16"``.
            remedy: What to do, e.g. ``"use 96 or 112"``.
        """
        super().__init__(" ".join(f"{what} {rule}; {remedy}".split()))
