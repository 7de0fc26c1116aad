"""What a test makes the hub do wrong."""

import threading
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Fault:
    """Strikes requests whose path contains ``path``, ``times`` times or for ever."""

    path: str = ""
    method: str = "GET"
    times: int | None = 1
    """None: for ever."""
    status: int | None = None
    """Answer with this status and nothing else."""
    retry_after_seconds: int | None = None
    break_after_bytes: int | None = None
    """Send that much of the body and close the connection."""
    corrupt: bool = False
    """Flip the last byte that is sent."""
    bytes_per_second: int | None = None
    """Send the body no faster."""
    struck: int = field(default=0, init=False)


class Faults:
    """Those still to come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """From now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, counted."""
        with self._lock:
            for fault in self._faults:
                if method == fault.method and fault.path in path and fault.times != fault.struck:
                    fault.struck += 1
                    return fault
        return None
