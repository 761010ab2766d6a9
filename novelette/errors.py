"""The one exception that a person is meant to see."""


class InputError(Exception):
    """Bad input by a person.

    `str(error)` is one sentence: what is wrong, where, and what to do. The command line prints it and exits with status 2.
    """
