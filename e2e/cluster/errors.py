"""What may go wrong, each with a sentence for the person who runs the harness.

HarnessError
├── MissingTool         the machine lacks a program; the message says how to get it
├── CommandFailed       a program ended with an error; the message holds its last lines
├── NotReady            a component did not come up; the message holds the end of its log
└── Unreachable         the API server does not answer
"""


class HarnessError(Exception):
    """Anything that the command line reports as one message, without a traceback."""


class MissingTool(HarnessError):
    """The machine lacks a program."""


class CommandFailed(HarnessError):
    """A program ended with an error."""


class NotReady(HarnessError):
    """A component did not come up."""


class Unreachable(HarnessError):
    """The API server does not answer."""
