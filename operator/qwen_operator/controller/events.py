"""What fills the queue: kopf's events, and a look at everything now and then."""

from __future__ import annotations

import asyncio
import logging
import signal

import kopf

from qwen_operator.cluster.api import ApiError, explain_refusal
from qwen_operator.controller.handlers import kopf_settings, register
from qwen_operator.controller.work_queue import WorkQueue
from qwen_operator.controller.worker import Worker
from qwen_operator.settings import Settings

_LOG = logging.getLogger("qwen_operator")
_RETRY_SECONDS = 5.0


class Events:
    """Both go on for ever; what is away or forbidden is said once a try."""

    def __init__(self, worker: Worker, settings: Settings, queue: WorkQueue) -> None:
        self._worker = worker
        self._settings = settings
        self._registry = kopf.OperatorRegistry()
        register(self._registry, queue)
        self._listing = asyncio.Lock()

    async def watch(self, stop: asyncio.Event) -> None:
        """Run kopf until told to stop, and again after whatever ends it.

        It looks once which kinds there are, so it does not start before ours can be listed.
        """
        while True:
            await self._list_all()
            try:
                await kopf.operator(
                    registry=self._registry,
                    settings=kopf_settings(),
                    standalone=True,
                    clusterwide=not self._settings.namespaces,
                    namespaces=self._settings.namespaces,
                    stop_flag=stop,
                )
            except Exception as error:
                _LOG.warning("no events: %s; again in %.0f s", _explain(error), _RETRY_SECONDS)
                # kopf took the signals from us, and gives nothing back when it fails.
                stop_on_signals(stop)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                # kopf took the signal that ended it.
                stop.set()
                return

    async def resync(self) -> None:
        """Queue every object now and then, whatever events were lost."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            await self._list_all()

    async def _list_all(self) -> None:
        """Queue every object; keep asking while the API server or the CRD is away."""
        async with self._listing:
            while True:
                try:
                    return await self._worker.resync()
                except ApiError as error:
                    missing = " (is the CRD installed?)" if error.is_missing else ""
                    _LOG.warning(
                        "cannot list QwenDeployments: %s%s; again in %.0f s",
                        error,
                        missing,
                        _RETRY_SECONDS,
                    )
                    await asyncio.sleep(_RETRY_SECONDS)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` when the process is told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def _explain(error: Exception) -> str:
    """One line, also of kopf's errors, which carry the API server's whole answer."""
    status, message = getattr(error, "status", 0), getattr(error, "message", None)
    if isinstance(message, str):
        return explain_refusal(int(status or 0), {"message": message})
    return f"{type(error).__name__}: {error}"
