"""One pass over one QwenDeployment: observe, reconcile, perform."""

from __future__ import annotations

import logging
from time import monotonic

from qwen_operator.cluster.api import Api, ApiError, owner_path
from qwen_operator.cluster.observe import observe
from qwen_operator.cluster.perform import perform_children, perform_status
from qwen_operator.cluster.reports import Reports
from qwen_operator.controller.health import Heartbeat
from qwen_operator.controller.telemetry import Telemetry
from qwen_operator.controller.work_queue import Key, WorkQueue
from qwen_operator.reconcile.reconcile import reconcile
from qwen_operator.settings import Settings

_LOG = logging.getLogger("qwen_operator")


class _Refused(Exception):
    """The API server takes a child no more, which the status says; the pass is tried again."""


class Worker:
    """What the passes share; several run at a time, each over another object."""

    def __init__(
        self,
        api: Api,
        settings: Settings,
        queue: WorkQueue,
        *,
        telemetry: Telemetry,
        heartbeat: Heartbeat,
        reports: Reports,
    ) -> None:
        self._api = api
        self._settings = settings
        self._queue = queue
        self._telemetry = telemetry
        self._heartbeat = heartbeat
        self._reports = reports

    async def run(self) -> None:
        """Take keys for ever."""
        while True:
            key = await self._queue.take()
            begin = monotonic()
            result = "error"
            try:
                result = await self._pass(key)
                self._queue.forget_failures(key)
            except _Refused as error:
                delay = self._queue.add_failed(key)
                _LOG.warning("%s/%s: %s; again in %.1f s", *key, error, delay)
            except ApiError as error:
                if error.is_ending_namespace:
                    # Nothing can be made there, and what is there goes: nobody has to try again.
                    result = "gone"
                    continue
                delay = self._queue.add_failed(key)
                # Somebody else wrote between our read and our write: read again, say nothing.
                level = logging.INFO if error.is_conflict else logging.WARNING
                _LOG.log(level, "%s/%s: %s; again in %.1f s", *key, error, delay)
            except Exception:
                delay = self._queue.add_failed(key)
                _LOG.exception("%s/%s: a defect of ours; again in %.1f s", *key, delay)
            finally:
                self._queue.finish(key)
                self._heartbeat.beat()
                self._telemetry.pass_seconds.labels(result).observe(monotonic() - begin)

    async def resync(self) -> None:
        """Queue every object there is, whatever events were lost.

        Raises `ApiError` when no namespace can be read; one of several is only told of.
        """
        self._heartbeat.beat()
        errors: dict[str, ApiError] = {}
        namespaces = self._settings.namespaces or ("",)
        for namespace in namespaces:
            try:
                owners = await self._api.list(owner_path(namespace))
            except ApiError as error:
                errors[namespace] = error
                continue
            for owner in owners:
                self._queue.add((owner["metadata"]["namespace"], owner["metadata"]["name"]))
        if len(errors) == len(namespaces):
            raise next(iter(errors.values()))
        for unread, why in errors.items():
            _LOG.warning("namespace %s is left out: %s", unread, why)

    async def _pass(self, key: Key) -> str:
        observed = await observe(
            self._api,
            self._reports,
            *key,
            may_read_nodes=self._settings.read_nodes,
            namespaces=self._settings.namespaces,
        )
        if observed is None:
            return "gone"
        outcome = reconcile(observed, self._settings.children)
        refusal = await perform_children(self._api, observed, outcome)
        if refusal is not None:
            outcome = reconcile(observed, self._settings.children, refusal=refusal)
        await perform_status(self._api, observed, outcome)
        for event in outcome.events:
            _LOG.info("%s/%s: %s: %s", *key, event.reason, event.message)
            self._telemetry.events.labels(event.reason).inc()
        if refusal is not None:
            raise _Refused(refusal)
        if outcome.requeue_after_seconds is not None:
            self._queue.add_after(key, outcome.requeue_after_seconds)
        return "quiet" if outcome.is_quiet else "written"
