"""A look at each card every second, and at the driver's errors as they come."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from qwen_contract.report import State
from qwen_runtime.launcher.board import Board
from qwen_runtime.launcher.cards import Card, Sample
from qwen_runtime.launcher.log import Log
from qwen_runtime.launcher.nvml import Nvml
from qwen_runtime.launcher.status import Status

_PERIOD_SECONDS: Final = 1.0


def watch_cards(nvml: Nvml, cards: tuple[Card, ...], board: Board, log: Log) -> threading.Thread:
    """Keep the board's samples fresh until the process ends."""
    indices = tuple(card.index for card in cards)
    nvml.watch_errors(indices)
    thread = threading.Thread(
        target=_watch, args=(nvml, indices, board, log), name="cards", daemon=True
    )
    thread.start()
    return thread


def take_samples(nvml: Nvml, indices: tuple[int, ...]) -> tuple[Sample, ...]:
    """Of the cards that answer."""
    found = (nvml.sample(index) for index in indices)
    return tuple(sample for sample in found if sample is not None)


def add_samples(status: Status, samples: tuple[Sample, ...]) -> Status:
    """The status after one more look. Pure."""
    peak = dict(status.peak_bytes)
    if status.state in (State.SERVING, State.DRAINING):
        for sample in samples:
            peak[sample.uuid] = max(peak.get(sample.uuid, 0), sample.memory.used_bytes)
    return replace(status, samples=samples, peak_bytes=MappingProxyType(peak))


def add_error(status: Status, index: int, xid: int) -> Status:
    """The status after one more error of the driver. Pure."""
    counts = dict(status.xid_errors)
    counts[index, xid] = counts.get((index, xid), 0) + 1
    return replace(status, xid_errors=MappingProxyType(counts))


def _watch(nvml: Nvml, indices: tuple[int, ...], board: Board, log: Log) -> None:
    while True:
        samples = take_samples(nvml, indices)
        board.change(partial(add_samples, samples=samples))
        until = time.monotonic() + _PERIOD_SECONDS
        while (left := until - time.monotonic()) > 0:
            if not nvml.hears_errors:
                time.sleep(left)
            elif (error := nvml.next_error(left)) is not None:
                index, xid = error
                log.warning(f"the NVIDIA driver reports XID {xid} of GPU {index}")
                board.change(partial(add_error, index=index, xid=xid))
            else:
                # An event set that fails at once must not turn this into a busy loop.
                time.sleep(min(0.05, max(0.0, until - time.monotonic())))
