"""Requests one after the other on new connections, each read to its end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

MAX_TOKENS = 24
_TIMEOUT_SECONDS = 120.0


@dataclass(slots=True, kw_only=True)
class Traffic:
    """What became of every request."""

    complete: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Kind of fault to how often: refused, an error status, or cut before its last token."""
    longest_seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Requests whose fate is known."""
        return self.complete + self.faults.total()


async def send_until(
    traffic: Traffic,
    url: str,
    model: str,
    *,
    clients: int,
    every_seconds: float,
    stop: asyncio.Event,
) -> None:
    """``clients`` send a request every so often until told to stop; those on their way end."""
    # A new connection each time: what is new is routed by the Service, as a pod behind it ends.
    connector = TCPConnector(force_close=True, limit=0)
    timeout = ClientTimeout(total=_TIMEOUT_SECONDS)
    async with ClientSession(connector=connector, timeout=timeout) as session:

        async def client() -> None:
            while not stop.is_set():
                begin = monotonic()
                fault = await _one(session, url, model)
                taken = monotonic() - begin
                if fault is None:
                    traffic.complete += 1
                    traffic.longest_seconds = max(traffic.longest_seconds, taken)
                else:
                    traffic.faults[fault] += 1
                try:
                    await asyncio.wait_for(stop.wait(), max(0.0, every_seconds - taken))
                except TimeoutError:
                    continue

        await asyncio.gather(*(client() for _ in range(clients)))


async def _one(session: ClientSession, url: str, model: str) -> str | None:
    """None for an answer that is whole, else what was wrong with it."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "tell me something"}],
        "max_tokens": MAX_TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    tokens, done = 0, False
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
            if answer.status != 200:
                return f"status {answer.status}"
            async for line in answer.content:
                text = line.decode().strip().removeprefix("data:").strip()
                if text == "[DONE]":
                    done = True
                elif text:
                    usage = json.loads(text).get("usage") or {}
                    tokens = usage.get("completion_tokens", tokens)
    except (ClientError, TimeoutError, OSError) as error:
        return f"{type(error).__name__} after {tokens} tokens"
    return None if done and tokens == MAX_TOKENS else f"cut after {tokens} tokens"
