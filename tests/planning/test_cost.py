from __future__ import annotations

from dataclasses import replace

import pytest

from qwen_operator.planning.cost import Cost, Prices, plan_cost
from qwen_operator.planning.result import CardPlan
from tests.planning.examples import L4, plan_of, request

TYPICAL = 1024


def cost(row: CardPlan, typical: int = TYPICAL, **prices: float) -> Cost:
    found = plan_cost(row, Prices(**prices), typical)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def row() -> CardPlan:
    found = plan_of(request("Qwen/Qwen3-4B"))
    assert found.fits
    return found


def test_an_hour_costs_the_rent_of_the_card(row: CardPlan) -> None:
    assert cost(row).hourly == row.card.hourly_price_usd
    assert cost(row, gpu_hour=2.5).hourly == 2.5
    assert cost(row, gpu_hour=0.0).hourly == 0.0


def test_a_card_of_one_s_own_costs_its_electricity(row: CardPlan) -> None:
    assert cost(row, kilowatt_hour=0.30).hourly == pytest.approx(0.30 * 72 / 1000)
    both = cost(row, gpu_hour=1.0, kilowatt_hour=0.30)
    assert both.hourly == pytest.approx(1.0 + 0.30 * 72 / 1000)


def test_every_gpu_of_a_replica_is_paid() -> None:
    two = plan_of(request("Qwen/Qwen3-4B", tensor_parallel_size=2))
    assert cost(two, gpu_hour=1.5).hourly == 3.0


def test_a_million_tokens_cost_what_the_hour_costs_at_that_speed(row: CardPlan) -> None:
    found = cost(row, gpu_hour=1.0)
    tokens_per_hour = found.tokens_per_second * 3600
    assert found.million_tokens == pytest.approx(1e6 / tokens_per_hour)
    assert cost(row, gpu_hour=2.0).million_tokens == pytest.approx(2 * found.million_tokens)


def test_no_step_is_faster_than_reading_the_weights_once(row: CardPlan) -> None:
    found = cost(row)
    assert 1 <= found.running_requests <= row.shape.max_num_seqs
    steps = found.tokens_per_second / found.running_requests
    assert steps * row.budget.weights_bytes < L4.memory_bandwidth_bytes_per_second


def test_longer_requests_leave_room_for_fewer(row: CardPlan) -> None:
    assert cost(row, 8192).running_requests < cost(row, 512).running_requests
    assert cost(row, 8192).tokens_per_second < cost(row, 512).tokens_per_second
    # A request is never longer than the model takes.
    assert cost(row, 10**9) == cost(row, row.shape.max_model_len)


def test_the_break_even_is_where_both_cost_the_same(row: CardPlan) -> None:
    found = cost(row, gpu_hour=0.8, api_million_tokens=0.4)
    assert found.break_even_tokens_per_hour == pytest.approx(2_000_000)
    assert found.break_even_share == pytest.approx(2_000_000 / (found.tokens_per_second * 3600))
    assert (found.break_even_share < 1) == (found.million_tokens < 0.4)


@pytest.mark.parametrize("price", [None, 0.0])
def test_without_an_api_price_there_is_no_break_even(row: CardPlan, price: float | None) -> None:
    found = plan_cost(row, Prices(api_million_tokens=price), TYPICAL)
    assert found is not None
    assert found.break_even_tokens_per_hour is None
    assert found.break_even_share is None


def test_nothing_is_said_without_price_bandwidth_or_fit(row: CardPlan) -> None:
    nameless = replace(row.card, hourly_price_usd=None)
    slow = replace(row.card, memory_bandwidth_bytes_per_second=None)
    powerless = replace(nameless, power_watts=None)
    assert plan_cost(replace(row, card=nameless), Prices(), TYPICAL) is None
    assert plan_cost(replace(row, card=slow), Prices(), TYPICAL) is None
    assert plan_cost(replace(row, fits=False), Prices(), TYPICAL) is None
    electric = Prices(kilowatt_hour=0.3)
    assert plan_cost(replace(row, card=powerless), electric, TYPICAL) is None
