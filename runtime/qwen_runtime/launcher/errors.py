"""The one exception of the launcher: a failure with its reason, for the termination message."""

from qwen_contract.failure import Failure


class Failed(Exception):
    """The replica cannot start, or cannot go on."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
