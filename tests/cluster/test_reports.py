"""Launchers are asked in the background; what they tell wakes the owner once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from aiohttp import web

from qwen_contract import pod
from qwen_contract.report import Report, State, write_report
from qwen_operator.cluster.reports import Key, Reports
from qwen_operator.reconcile.observed import PodState

OWNER = ("models", "chat")
REPORT = Report(state=State.SERVING, card="L4", vllm_version="0.33.0")
ADDRESS = "127.0.7.1"


def ready_pod(uid: str = "u", address: str = ADDRESS) -> PodState:
    return PodState(
        name=uid,
        uid=uid,
        address=address,
        ready=True,
        scheduled=True,
        unschedulable=None,
        waiting=None,
    )


async def serve_report(*parts: str) -> web.AppRunner:
    """A launcher whose answer arrives in these parts."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part.encode())
            await asyncio.sleep(0)
        return response

    application = web.Application()
    application.add_routes([web.get(pod.REPORT_PATH, answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, pod.LAUNCHER_PORT).start()
    return runner


def test_a_pass_does_not_wait_and_is_woken_by_the_answer() -> None:
    async def scenario() -> None:
        woken: asyncio.Queue[Key] = asyncio.Queue()
        text = write_report(REPORT)
        runner = await serve_report(text[:100], text[100:])
        async with aclosing(Reports(woken.put_nowait)) as reports:
            assert reports.of(OWNER, [ready_pod()]) == ()
            assert await asyncio.wait_for(woken.get(), timeout=10) == OWNER
            assert reports.of(OWNER, [ready_pod()]) == (REPORT,)
            assert reports.of(OWNER, []) == ()
            assert reports.of(OWNER, [ready_pod(address="127.0.7.9")]) == ()
        await runner.cleanup()

    asyncio.run(scenario())


def test_a_launcher_that_does_not_answer_wakes_nobody() -> None:
    async def scenario() -> None:
        woken: list[Key] = []
        async with aclosing(Reports(woken.append)) as reports:
            assert reports.of(OWNER, [ready_pod(address="127.0.7.9")]) == ()
            while reports.is_asking:
                await asyncio.sleep(0.01)
            assert reports.of(OWNER, [ready_pod(address="127.0.7.9")]) == ()
        assert woken == []

    asyncio.run(scenario())


def test_a_report_without_end_is_not_taken() -> None:
    async def scenario() -> None:
        woken: list[Key] = []
        runner = await serve_report(write_report(REPORT), " " * (1 << 20))
        async with aclosing(Reports(woken.append)) as reports:
            reports.of(OWNER, [ready_pod()])
            while reports.is_asking:
                await asyncio.sleep(0.01)
            assert reports.of(OWNER, [ready_pod()]) == ()
        await runner.cleanup()
        assert woken == []

    asyncio.run(scenario())
