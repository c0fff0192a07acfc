"""The one family of errors that a user can cause."""


class FoundError(ValueError):
    """Says what was expected, what was found and what to do. Entry points print it and exit with 2."""
