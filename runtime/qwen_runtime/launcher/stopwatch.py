"""Time of the launcher's own phases."""

from __future__ import annotations

import time

from qwen_contract.report import OUR_PHASES, Phase


class Stopwatch:
    """Laps from its start on."""

    def __init__(self, began: float | None = None) -> None:
        self._began = time.monotonic() if began is None else began

    def lap(self, name: str) -> Phase:
        """The phase that ends now, one of ours."""
        now = time.monotonic()
        seconds, self._began = now - self._began, now
        return Phase(name=f"{OUR_PHASES}{name}", seconds=round(max(0.0, seconds), 3))
