"""The exceptions of the product.

QwenOperatorError
├── InvalidInput     the user's input cannot be used; the sentence says how to mend it
└── KubectlFailed    the user's kubectl could not do it (cli/kubectl.py)
"""


class QwenOperatorError(Exception):
    """Base of every exception this product raises on purpose."""


class Words(str):
    """A value that is shown without quotes: a remark, not what was written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


MISSING = Words("missing")


class InvalidInput(QwenOperatorError):
    """Input that cannot be used: one sentence with field, value, limit and a way out."""

    def __init__(self, field: str, value: object, limit: str, way_out: str) -> None:
        """Say that ``field`` is ``value`` although ``limit``; ``way_out`` names what to do."""
        self.field = field
        self.value = value
        self.limit = limit
        self.way_out = way_out
        super().__init__(f"{field} is {value!r}, but {limit}; {way_out}")
