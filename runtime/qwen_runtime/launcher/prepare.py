"""From the start of the container to the command of vLLM."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.plan import PlanRow
from qwen_contract.report import Phase
from qwen_runtime.launcher.board import Board
from qwen_runtime.launcher.cards import Card, Machine
from qwen_runtime.launcher.choose_row import Choice, choose_row
from qwen_runtime.launcher.command import (
    Server,
    api_key,
    build_command,
    build_env,
    default_server,
    find_program,
    served_name,
)
from qwen_runtime.launcher.driver import check_driver
from qwen_runtime.launcher.engine_client import EngineClient
from qwen_runtime.launcher.errors import Failed
from qwen_runtime.launcher.free_memory import check_free_memory
from qwen_runtime.launcher.host import read_host
from qwen_runtime.launcher.log import Log
from qwen_runtime.launcher.options import Options
from qwen_runtime.launcher.plan_files import hold, load_fetched, load_plan
from qwen_runtime.launcher.stopwatch import Stopwatch
from qwen_runtime.launcher.visible_cards import visible_cards
from qwen_runtime.launcher.warnings_of_host import explain_slow_host

if TYPE_CHECKING:
    from qwen_runtime.launcher.nvml import Nvml

_BUSY_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What will be started."""

    choice: Choice
    command: tuple[str, ...]
    env: Mapping[str, str]
    client: EngineClient
    nvml: Nvml | None


class Interrupted(Exception):
    """The launcher was asked to end before vLLM was started."""


def prepare(
    options: Options,
    environ: Mapping[str, str],
    shutdown_seconds: int,
    board: Board,
    log: Log,
    *,
    wait: Callable[[float], bool],
) -> Prepared:
    """Raises `Failed`, or `Interrupted` once ``wait`` says that the launcher shall end."""
    watch = Stopwatch()
    rows = load_plan(options.plan)
    fetched = load_fetched(options.fetched)
    if fetched is not None:
        hold(fetched)
        board.change(lambda status: replace(status, commit=fetched.commit))
    _add_phase(board, watch.lap("Plan"))
    nvml, machine, why_none = _find_cards(rows)
    choice = _or_fail(choose_row(rows, visible_cards(machine.cards, environ), why_none))
    row = choice.row
    if choice.cards:
        _check(check_driver(row.vllm_version, machine.driver_version, environ))
    warnings = (*choice.warnings, *explain_slow_host(read_host(), choice.cards, environ))
    for warning in warnings:
        log.warning(warning)
    log.info(_explain(choice))
    board.change(
        lambda status: replace(
            status, card=row.card.name, vllm_version=row.vllm_version, warnings=warnings
        )
    )
    _add_phase(board, watch.lap("Cards"))
    if nvml is not None and choice.cards:
        _await_memory(nvml, choice, options.busy_seconds, log, wait)
        _add_phase(board, watch.lap("FreeMemory"))
    model = row.model if fetched is None else fetched.folder
    env = build_env(choice, environ, machine.cards)
    return Prepared(
        choice=choice,
        command=build_command(
            _server(options, environ, on_cpu=row.card.is_cpu),
            choice,
            model,
            port=options.http_port,
            shutdown_seconds=shutdown_seconds,
        ),
        env=env,
        client=EngineClient(
            port=options.http_port,
            model=served_name(row.args, model),
            key=api_key(row.args, env),
        ),
        nvml=nvml,
    )


def _server(options: Options, environ: Mapping[str, str], *, on_cpu: bool) -> Server:
    if options.model_server:
        return Server(words=options.model_server)
    program = find_program("vllm", environ)
    if program is None and importlib.util.find_spec("vllm") is None:
        raise Failed(
            Failure(
                reason=FailureReason.UNKNOWN,
                stage=Stage.CHECK,
                message="there is no vLLM here; spec.image must be an image of vLLM",
            )
        )
    return default_server(sys.executable, program, on_cpu=on_cpu)


def _find_cards(rows: tuple[PlanRow, ...]) -> tuple[Nvml | None, Machine, str]:
    none = Machine(driver_version="", cards=())
    if all(row.card.is_cpu for row in rows):
        return None, none, "the plan is for CPUs"
    # Not imported for a CPU: it is the largest part of what the launcher loads.
    from qwen_runtime.launcher.nvml import NoDriver, Nvml

    try:
        nvml = Nvml()
        return nvml, nvml.read_machine(), "NVML lists none, or CUDA_VISIBLE_DEVICES hides them"
    except NoDriver as error:
        return None, none, str(error)


def _await_memory(
    nvml: Nvml,
    choice: Choice,
    busy_seconds: float,
    log: Log,
    wait: Callable[[float], bool],
) -> None:
    until = time.monotonic() + busy_seconds
    cards: tuple[Card, ...] = choice.cards
    said = False
    while (failure := check_free_memory(choice.row, cards)) is not None:
        if time.monotonic() >= until:
            raise Failed(failure)
        if not said:
            log.warning(f"waiting up to {busy_seconds:.0f} s: {failure.message}")
            said = True
        if wait(_BUSY_POLL_SECONDS):
            raise Interrupted
        ours = {card.uuid for card in choice.cards}
        cards = tuple(card for card in nvml.read_machine().cards if card.uuid in ours)
    if said:
        log.info("the GPU's memory is free now")


def _explain(choice: Choice) -> str:
    row = choice.row
    if not choice.cards:
        return f"no GPU is used: the plan's row {row.card.name}, vLLM {row.vllm_version}"
    cards = ", ".join(f"{card.index} {card.name} {card.uuid}" for card in choice.cards)
    return f"GPU {cards}: the plan's row {row.card.name}, vLLM {row.vllm_version}"


def _or_fail(found: Choice | Failure) -> Choice:
    if isinstance(found, Failure):
        raise Failed(found)
    return found


def _check(failure: Failure | None) -> None:
    if failure is not None:
        raise Failed(failure)


def _add_phase(board: Board, phase: Phase) -> None:
    board.change(lambda status: replace(status, phases_before=(*status.phases_before, phase)))
