from __future__ import annotations

import os
from pathlib import Path

from qwen_contract.fetched import Fetched, in_use_file
from qwen_runtime.fetcher.locks import try_lock
from qwen_runtime.launcher.plan_files import hold


def fetched(folder: Path, commit: str | None) -> Fetched:
    return Fetched(
        folder=str(folder / "snapshots" / "c"),
        repository="a/b",
        commit=commit,
        bytes=1,
        downloaded_bytes=0,
        seconds=0.0,
        verified="sha256",
    )


def test_weights_that_are_served_cannot_be_evicted(tmp_path: Path) -> None:
    given = fetched(tmp_path, "c0ffee")
    file = Path(str(in_use_file(given)))
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    descriptor = hold(given)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    with try_lock(file) as locked:
        assert not locked
    os.close(descriptor)
    with try_lock(file) as locked:
        assert locked


def test_weights_that_nobody_evicts_are_not_locked(tmp_path: Path) -> None:
    assert hold(fetched(tmp_path, None)) is None
    assert hold(fetched(tmp_path, "gone")) is None
