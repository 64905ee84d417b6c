"""What a page raises instead of showing what was asked for."""


class NotFoundError(Exception):
    """The requested thing doesn't exist; the message says what and how to proceed."""


class NotAllowedError(Exception):
    """The signed-in user isn't allowed to do this; the message says why."""
