"""What a million tokens cost on a card of one's own, and when an API is cheaper.

The speed is an estimate, not a promise: a decode step reads all weights and the KV cache of every
running request once, plus launches and scheduling; the constants are assumed, not fitted. For a
mixture of experts that holds for a full batch: few requests read fewer experts and are faster.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.planning.result import CardPlan

BANDWIDTH_SHARE = 0.85
"""Of the data sheet's bandwidth, what decode kernels reach."""
STEP_SECONDS = 0.002
"""Kernel launches and scheduling of one step."""
STEP_SECONDS_PER_REQUEST = 0.000026
"""Sampling and scheduling of one more request."""
_SECONDS_PER_HOUR = 3600
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the user pays, in one currency. None leaves a part out.

    The catalogue's rents are US dollars; who gives a price in another currency gives all of them.
    """

    gpu_hour: float | None = None
    """Rent of one GPU for an hour; the catalogue's where None."""
    kilowatt_hour: float | None = None
    """Electricity, for cards of one's own."""
    api_million_tokens: float | None = None
    """An API's price for a million output tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of a replica at its full batch of typical requests."""

    running_requests: int
    tokens_per_second: float
    hourly: float
    million_tokens: float
    break_even_tokens_per_hour: float | None
    """Output tokens an hour from which the replica is cheaper than the API."""
    break_even_share: float | None
    """The same as a share of what the replica can do; above 1 the API is always cheaper."""


def plan_cost(row: CardPlan, prices: Prices, typical_request_tokens: int) -> Cost | None:
    """Cost of one replica of a fitting plan; None where price or bandwidth is unknown."""
    hourly = _hourly(row, prices)
    bandwidth = row.card.memory_bandwidth_bytes_per_second
    if not row.fits or hourly is None or bandwidth is None:
        return None
    tokens = min(typical_request_tokens, row.shape.max_model_len)
    running = max(
        1, min(row.shape.max_num_seqs, int(row.layout.max_concurrency(row.kv_cache_bytes, tokens)))
    )
    cache_bytes = running * row.layout.blocks_per_request(tokens) * row.layout.bytes_per_block
    reading = (row.budget.weights_bytes + cache_bytes) / (bandwidth * BANDWIDTH_SHARE)
    step = reading + STEP_SECONDS + running * STEP_SECONDS_PER_REQUEST
    tokens_per_second = running / step
    tokens_per_hour = tokens_per_second * _SECONDS_PER_HOUR
    break_even = (
        hourly / prices.api_million_tokens * _MILLION if prices.api_million_tokens else None
    )
    return Cost(
        running_requests=running,
        tokens_per_second=tokens_per_second,
        hourly=hourly,
        million_tokens=hourly / tokens_per_hour * _MILLION,
        break_even_tokens_per_hour=break_even,
        break_even_share=break_even / tokens_per_hour if break_even else None,
    )


def _hourly(row: CardPlan, prices: Prices) -> float | None:
    gpus, power = row.request.tensor_parallel_size, row.card.power_watts
    electricity = None
    if prices.kilowatt_hour is not None and power is not None:
        electricity = prices.kilowatt_hour * power / 1000
    rent = prices.gpu_hour
    if rent is None and electricity is None:
        rent = row.card.hourly_price_usd
    if rent is None and electricity is None:
        return None
    return gpus * ((rent or 0.0) + (electricity or 0.0))
