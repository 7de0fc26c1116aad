"""What the launchers of ready pods tell, asked for in the background and kept by pod."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from qwen_contract import pod
from qwen_contract.errors import Unreadable
from qwen_contract.report import Report, read_report
from qwen_operator.reconcile.observed import PodState

_TIMEOUT_SECONDS = 2.0
_FRESH_SECONDS = 240.0
"""A little under the resync, which so sees a new one each time."""
_AT_A_TIME = 16
_OK = 200
_LONGEST_BYTES = 64 << 10

Key = tuple[str, str]


@dataclass(slots=True)
class _Entry:
    report: Report | None
    asked_at: float
    owner: Key


class Reports:
    """A pass never waits for a launcher: it takes what is known, and news wakes it again."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._known: dict[str, _Entry] = {}
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None

    def of(self, owner: Key, pods: Iterable[PodState]) -> tuple[Report, ...]:
        """Reports of these pods, the only ones of this owner that are kept."""
        ready = {each.uid: each for each in pods if each.ready and each.address}
        for uid in [uid for uid, entry in self._known.items() if entry.owner == owner]:
            if uid not in ready:
                del self._known[uid]
        for uid, state in ready.items():
            entry = self._known.get(uid)
            if entry is None or monotonic() - entry.asked_at > _FRESH_SECONDS:
                self._ask(owner, uid, str(state.address))
        found = (self._known[uid].report for uid in ready)
        return tuple(report for report in found if report is not None)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._tasks)

    async def aclose(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _ask(self, owner: Key, uid: str, address: str) -> None:
        before = self._known.get(uid)
        entry = _Entry(before.report if before else None, monotonic(), owner)
        self._known[uid] = entry
        task = asyncio.create_task(self._fetch(entry, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, entry: _Entry, address: str) -> None:
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=_TIMEOUT_SECONDS))
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{pod.LAUNCHER_PORT}{pod.REPORT_PATH}"
        async with self._slots:
            try:
                # The pod may run an image of the user's own, so what it says is not trusted.
                async with self._session.get(url, allow_redirects=False) as answer:
                    if answer.status != _OK:
                        return
                    report = read_report(await _read_all(answer))
            except (ClientError, TimeoutError, OSError, Unreadable):
                # The pod serves all the same; the resync asks again.
                return
        if report != entry.report:
            entry.report = report
            self._wake(entry.owner)


async def _read_all(answer: ClientResponse) -> bytes:
    """The body, in as many parts as it comes. Raises `Unreadable` when it is too long."""
    body = b""
    async for part in answer.content.iter_any():
        body += part
        if len(body) > _LONGEST_BYTES:
            raise Unreadable(f"the launcher's report is longer than {_LONGEST_BYTES} bytes")
    return body
