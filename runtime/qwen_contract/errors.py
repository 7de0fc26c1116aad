"""Errors of reading what the other side has written."""


class Unreadable(Exception):
    """A file is not of a format that this release knows; the text is a sentence for people."""
