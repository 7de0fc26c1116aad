"""NVML: the cards of this pod, their state from second to second, and the driver's error events.

Whatever a card or driver does not support is left out; only a missing library or driver counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pynvml  # type: ignore[import-untyped]

from qwen_runtime.launcher.cards import (
    Card,
    GpuProcess,
    Machine,
    Memory,
    PcieLink,
    Sample,
    Throttle,
)

_T = TypeVar("_T")

_THROTTLES: Final = (
    (pynvml.nvmlClocksEventReasonSwPowerCap, Throttle.POWER_CAP),
    (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, Throttle.POWER_BRAKE),
    (pynvml.nvmlClocksEventReasonSwThermalSlowdown, Throttle.THERMAL),
    (pynvml.nvmlClocksThrottleReasonHwThermalSlowdown, Throttle.THERMAL),
    (pynvml.nvmlClocksThrottleReasonHwSlowdown, Throttle.HARDWARE),
)


class NoDriver(Exception):
    """There is no NVML here; the text says why."""


class Nvml:
    """An open NVML. Safe to use from several threads, as the library is."""

    def __init__(self) -> None:
        """Raises `NoDriver`."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NoDriver(f"NVML: {error}") from None
        self._events: Any = None

    def read_machine(self) -> Machine:
        """Every card that can be read. Raises `NoDriver` when the driver does not answer."""
        try:
            count = pynvml.nvmlDeviceGetCount()
            version = pynvml.nvmlSystemGetDriverVersion()
        except pynvml.NVMLError as error:
            raise NoDriver(f"NVML: {error}") from None
        cards = (_or_none(_reader(index)) for index in range(count))
        return Machine(
            driver_version=version, cards=tuple(card for card in cards if card is not None)
        )

    def sample(self, index: int) -> Sample | None:
        """A look at one card; None when it does not answer any more."""
        return _or_none(lambda: _read_sample(index))

    def watch_errors(self, indices: tuple[int, ...]) -> None:
        """Start listening for XID errors, where the driver lets a container do so."""
        events = _or_none(pynvml.nvmlEventSetCreate)
        if events is None:
            return
        for index in indices:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlDeviceRegisterEvents(
                    pynvml.nvmlDeviceGetHandleByIndex(index),
                    pynvml.nvmlEventTypeXidCriticalError,
                    events,
                )
                self._events = events

    def next_error(self, timeout_seconds: float) -> tuple[int, int] | None:
        """Index of a card and its XID, or None when none came in time or nobody listens."""
        if self._events is None:
            return None
        try:
            event = pynvml.nvmlEventSetWait_v2(self._events, int(timeout_seconds * 1000))
            return pynvml.nvmlDeviceGetIndex(event.device), int(event.eventData)
        except pynvml.NVMLError:
            return None

    @property
    def hears_errors(self) -> bool:
        """Whether `next_error` waits at all."""
        return self._events is not None


def _or_none(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except pynvml.NVMLError:
        return None


def _reader(index: int) -> Callable[[], Card]:
    return lambda: _read_card(index)


def _read_card(index: int) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    mig = _or_none(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    return Card(
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        name=pynvml.nvmlDeviceGetName(handle),
        compute_capability=f"{major}.{minor}",
        memory=_read_memory(handle),
        processes=_read_processes(handle),
        pcie=_or_none(lambda: _read_pcie(handle)),
        throttles=_read_throttles(handle),
        mig=mig == pynvml.NVML_DEVICE_MIG_ENABLE,
    )


def _read_memory(handle: Any) -> Memory:
    try:
        # Version 2 tells apart what the driver keeps: total without it is what CUDA reports.
        read = pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2)
        return Memory(total_bytes=read.total - read.reserved, used_bytes=read.used)
    except pynvml.NVMLError:
        read = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return Memory(total_bytes=read.total, used_bytes=read.used)


def _read_processes(handle: Any) -> tuple[GpuProcess, ...]:
    found: dict[int, GpuProcess] = {}
    for read in (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        for process in _or_none(partial(read, handle)) or ():
            found[process.pid] = GpuProcess(
                pid=process.pid,
                name=_process_name(process.pid),
                used_bytes=process.usedGpuMemory,
            )
    return tuple(found.values())


def _process_name(pid: int) -> str | None:
    name = _or_none(lambda: pynvml.nvmlSystemGetProcessName(pid))
    return Path(name.split()[0]).name if name and name.split() else None


def _read_pcie(handle: Any) -> PcieLink:
    return PcieLink(
        generation=pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle),
        max_generation=pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle),
        width=pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle),
        max_width=pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle),
    )


def _read_throttles(handle: Any) -> tuple[Throttle, ...]:
    # The older name of the call, which old and new drivers know.
    bits = _or_none(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
    return tuple(dict.fromkeys(throttle for bit, throttle in _THROTTLES if bits & bit))


def _read_sample(index: int) -> Sample:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    utilization = _or_none(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    power = _or_none(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    limit = _or_none(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    return Sample(
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        memory=_read_memory(handle),
        utilization_ratio=None if utilization is None else utilization / 100,
        temperature_celsius=_or_none(
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
        ),
        power_watts=None if power is None else power / 1000,
        power_limit_watts=None if limit is None else limit / 1000,
        throttles=_read_throttles(handle),
    )
