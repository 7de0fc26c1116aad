"""The plan and the record of the weights, read from where the pod has them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from qwen_contract.errors import Unreadable
from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.fetched import Fetched, in_use_file, read_fetched
from qwen_contract.plan import PlanRow, read_plan
from qwen_runtime.launcher.errors import Failed


def load_plan(folder: Path) -> tuple[PlanRow, ...]:
    """Raises `Failed`."""
    try:
        files = {
            file.name: file.read_text() for file in sorted(folder.glob("*.json")) if file.is_file()
        }
        return read_plan(files)
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise _unreadable(f"cannot read the plan in {folder}: {error}") from None


def load_fetched(file: Path) -> Fetched | None:
    """None when nothing was fetched: then the plan's row names the model. Raises `Failed`."""
    try:
        return read_fetched(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise _unreadable(f"cannot read {file}: {error}") from None


def hold(fetched: Fetched) -> int | None:
    """Keep the weights from being evicted while this process lives; None where nobody would.

    The descriptor is ours alone: vLLM's workers would keep the lock when we are gone.
    """
    name = in_use_file(fetched)
    if name is None:
        return None
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        # A cache without locks, or an eviction that has begun: vLLM will say what is missing.
        return None
    return descriptor


def _unreadable(message: str) -> Failed:
    return Failed(Failure(reason=FailureReason.PLAN_UNREADABLE, stage=Stage.CHECK, message=message))
