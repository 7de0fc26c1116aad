"""One of several operators works: the one that holds the Lease."""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid

from aiohttp import ClientError
from kubernetes.aio.client import ApiException, V1Lease, V1ObjectMeta
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from qwen_operator import naming
from qwen_operator.cluster.api import Api

_LOG = logging.getLogger("qwen_operator")
_LEASE_SECONDS = 15
"""A successor waits this long after the leader's last sign of life."""
_RENEW_SECONDS = 8
"""A leader that could not renew for this long, and two tries more, stops before a successor may
start."""
_RETRY_SECONDS = 2


class _Lease(LeaseLock):
    """The library's (37.0.2), whose `create` is refused by its own client: it says ``pretty=True``,
    where only a string is taken, so that a Lease could be renewed but never made."""

    async def create(
        self, name: str, namespace: str, election_record: LeaderElectionRecord
    ) -> bool:
        """Whether the Lease could be made."""
        lease = V1Lease(
            metadata=V1ObjectMeta(name=name),
            spec=self.update_lease(election_record),
        )
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as error:
            _LOG.warning("cannot create the Lease %s: %s", name, error.reason)
            return False
        return True


class _Election(LeaderElection):
    """The library's, with an end to each try: a call that hangs would outlast the leadership."""

    async def try_acquire_or_renew(self) -> bool:
        """Whether the Lease is ours now."""
        try:
            async with asyncio.timeout(_RETRY_SECONDS):
                return await super().try_acquire_or_renew()
        except (ClientError, TimeoutError) as error:
            _LOG.warning("cannot reach the Lease: %s", str(error) or type(error).__name__)
            return False


class Leadership:
    """A candidate for the Lease of our name in the operator's namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        # The pod's name tells people who leads; the rest keeps a restarted container apart.
        self.identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        lock = _Lease(naming.PRODUCT, namespace, self.identity, api.client)
        self._election = _Election(
            Config(
                lock,
                lease_duration=_LEASE_SECONDS,
                renew_deadline=_RENEW_SECONDS,
                retry_period=_RETRY_SECONDS,
                onstarted_leading=_nothing,
                onstopped_leading=_nothing,
            )
        )

    async def acquire(self) -> None:
        """Return when this process leads."""
        await self._election.acquire()

    async def keep(self) -> None:
        """Return when the Lease is lost; whoever writes must end before."""
        await self._election.renew_loop()


async def _nothing() -> None:
    """The library wants to start and stop us; we await its two halves instead."""
