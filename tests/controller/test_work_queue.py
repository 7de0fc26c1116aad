from __future__ import annotations

import asyncio

from qwen_operator.controller.work_queue import Key, WorkQueue

A: Key = ("models", "a")
B: Key = ("models", "b")


def test_a_waiting_key_is_taken_once() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for key in (A, B, A):
            queue.add(key)
        assert [await queue.take(), await queue.take()] == [A, B]
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_key_in_work_is_not_taken_by_a_second_worker() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(A)
        await queue.take()
        queue.add(A)
        queue.add(A)
        assert len(queue) == 0
        queue.finish(A)
        assert await queue.take() == A
        queue.finish(A)
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_worker_wakes_for_a_key_that_comes_later() -> None:
    async def scenario() -> Key:
        queue = WorkQueue()
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add(B)
        return await waiting

    assert asyncio.run(scenario()) == B


def test_failures_double_the_delay_up_to_a_limit_and_success_forgets_them() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        delays = [queue.add_failed(A) for _ in range(12)]
        assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
        assert delays[-1] == 60.0
        queue.forget_failures(A)
        assert queue.add_failed(A) == 0.2

    asyncio.run(scenario())


def test_an_event_outweighs_a_delay() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after(A, 0)
        queue.add(A)
        assert await queue.take() == A
        queue.finish(A)
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(queue) == 0

    asyncio.run(scenario())
