"""The launcher's code on a real NVIDIA GPU: `python3 e2e/gpu_check.py`, from the repository.

Needs Python 3.11 or newer, torch, and nvidia-ml-py: installed, in PYTHONPATH, or bundled in a
launcher's zipapp that LAUNCHER_PYZ names. No vLLM, no network. Prints JSON; exit status 0 when
every check holds, 1 otherwise.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_REPOSITORY: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_REPOSITORY / "runtime"), str(_REPOSITORY)]
if bundle := os.environ.get("LAUNCHER_PYZ"):
    sys.path.append(bundle)

if importlib.util.find_spec("pynvml") is None:
    sys.exit(
        "pynvml is missing: set PYTHONPATH to its folder, or LAUNCHER_PYZ to a launcher's zipapp"
    )

from qwen_contract.failure import FailureReason, Stage, read_failure  # noqa: E402
from qwen_contract.plan import PlannedCard, PlanRow, write_plan  # noqa: E402
from qwen_contract.report import State, read_report  # noqa: E402
from qwen_runtime.launcher.cards import Card  # noqa: E402
from qwen_runtime.launcher.choose_row import Choice, choose_row  # noqa: E402
from qwen_runtime.launcher.classify import Ending, classify  # noqa: E402
from qwen_runtime.launcher.nvml import Nvml  # noqa: E402

_GIB: Final = 1 << 30
_CONTEXT_BYTES: Final = 2 * _GIB
"""More than a CUDA context takes, on any card."""
_PORT: Final = 18731
_HTTP_PORT: Final = 18732
_SECONDS: Final = 120.0

_HOLD = """
import sys, torch
held = torch.empty(int(sys.argv[1]), dtype=torch.uint8, device="cuda")
held.fill_(1); torch.cuda.synchronize()
print("held", flush=True); sys.stdin.read()
"""
_TOO_MUCH = """
import torch
torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
"""
_MEASURE = """
import json, torch
free, total = torch.cuda.mem_get_info()
properties = torch.cuda.get_device_properties(0)
print(json.dumps({"total": total, "free": free, "name": properties.name,
                  "total_memory": properties.total_memory, "torch": torch.__version__,
                  "capability": "%d.%d" % torch.cuda.get_device_capability(0)}))
"""


class Checks:
    """What was found, and what does not hold."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.broken: list[str] = []

    def expect(self, what: str, holds: object) -> None:
        """Note a check."""
        self.found.setdefault("checks", {})[what] = bool(holds)
        if not holds:
            self.broken.append(what)


def main() -> int:
    """The exit status."""
    checks = Checks()
    try:
        nvml = Nvml()
        card = check_card(checks, nvml)
        row = build_row(card)
        check_choice(checks, row, card)
        check_oom_message(checks)
        check_busy(checks, nvml, row, card)
        check_serving(checks, row, card)
    except Exception:
        checks.found["error"] = traceback.format_exc().splitlines()
        checks.broken.append("the checks themselves")
    checks.found["broken"] = checks.broken
    print(json.dumps(checks.found, indent=1, default=str))
    return 1 if checks.broken else 0


def check_card(checks: Checks, nvml: Nvml) -> Card:
    """NVML's figures against torch's."""
    began = time.monotonic()
    machine = nvml.read_machine()
    checks.found["read_machine_seconds"] = round(time.monotonic() - began, 4)
    checks.found["machine"] = dataclasses.asdict(machine)
    checks.expect("a card is found", machine.cards)
    card = machine.cards[0]
    seen = json.loads(run_python(_MEASURE).stdout)
    checks.found["torch"] = seen
    checks.found["total_difference_bytes"] = card.memory.total_bytes - seen["total"]
    checks.expect("NVML and CUDA agree on the name", card.name == seen["name"])
    checks.expect(
        "NVML and CUDA agree on the compute capability",
        card.compute_capability == seen["capability"],
    )
    checks.expect(
        "total without the driver's part is CUDA's total, to 1 %",
        abs(card.memory.total_bytes - seen["total"]) < 0.01 * seen["total"],
    )
    # torch has made a context by then, whose memory is gone from its free.
    difference = card.memory.free_bytes - seen["free"]
    checks.found["free_difference_bytes"] = difference
    checks.expect("free is CUDA's free and a context", -_GIB < difference < _CONTEXT_BYTES)
    return card


def build_row(card: Card) -> PlanRow:
    """A plan for this card that needs three quarters of it."""
    planned = PlannedCard(
        name="UNDERTEST",
        product_labels=(card.product_label,),
        memory_bytes=card.memory.total_bytes,
        compute_capability=card.compute_capability,
    )
    return PlanRow(
        card=planned,
        vllm_version="0.33.0",
        tensor_parallel_size=1,
        model="model",
        needed_bytes=card.memory.total_bytes * 3 // 4,
        kv_cache_bytes=_GIB,
        args=(),
        env={},
    )


def check_choice(checks: Checks, row: PlanRow, card: Card) -> None:
    """The row of this card among others."""
    other = dataclasses.replace(
        row, card=dataclasses.replace(row.card, name="OTHER", product_labels=("NVIDIA-Other",))
    )
    found = choose_row((other, row), (card,), "")
    checks.expect("its row is chosen", isinstance(found, Choice) and found.row == row)
    missing = choose_row((other,), (card,), "")
    checks.expect(
        "a plan without it is a mismatch",
        not isinstance(missing, Choice) and missing.reason is FailureReason.GPU_MISMATCH,
    )


def check_oom_message(checks: Checks) -> None:
    """A real message of torch, with the figures read out of it."""
    for name, code in (
        ("all", "import torch; torch.empty(1 << 45, dtype=torch.uint8, device='cuda')"),
        ("more than there is", _TOO_MUCH),
    ):
        ended = run_python(code, check=False)
        failure = classify(
            Ending(
                lines=tuple(ended.stderr.splitlines()),
                exit_code=ended.returncode,
                signal_number=None,
                stage=Stage.LOAD_WEIGHTS,
            )
        )
        checks.found[f"oom: {name}"] = {
            "torch": ended.stderr.strip().splitlines()[-1:],
            "failure": failure.message,
        }
        checks.expect(
            f"out of memory is recognised: {name}",
            failure.reason is FailureReason.CUDA_OUT_OF_MEMORY,
        )


def check_busy(checks: Checks, nvml: Nvml, row: PlanRow, card: Card) -> None:
    """GpuBusy, with another process that really has the memory, through the whole launcher."""
    amount = card.memory.free_bytes // 2
    with holding(amount):
        held = nvml.read_machine().cards[0]
        checks.found["held"] = dataclasses.asdict(held)
        checks.expect(
            "what another process has is not free",
            card.memory.free_bytes - held.memory.free_bytes >= amount,
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ended = subprocess.run(  # noqa: S603
                launcher_command(folder, row, "--busy-seconds", "2"),
                env=launcher_env(),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            checks.found["busy"] = ended.stdout.splitlines()
            failure = read_failure((folder / "termination").read_text())
        checks.expect("a busy card is GpuBusy", failure.reason is FailureReason.GPU_BUSY)


def check_serving(checks: Checks, row: PlanRow, card: Card) -> None:
    """The launcher on this card, with a stand-in for vLLM that has some of its memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = subprocess.Popen(  # noqa: S603
            launcher_command(folder, row, "--propagation-seconds", "0.1"),
            env=launcher_env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            eventually(lambda: fetch("/readyz") is not None)
            report = read_report(fetch("/report") or "")
            checks.found["report"] = dataclasses.asdict(report)
            checks.expect("the replica serves", report.state is State.SERVING)
            checks.expect("it took the row of the card", report.card == "UNDERTEST")
            checks.expect(
                "device memory is measured",
                report.measured.device_bytes_total == card.memory.total_bytes
                and report.measured.device_bytes_ready is not None,
            )
            with holding(2 * _GIB):
                eventually(lambda: peak_bytes() >= 2 * _GIB)
            checks.found["metrics"] = (fetch("/metrics") or "").splitlines()
            for metric in (
                "qwen_gpu_utilization_ratio",
                "qwen_gpu_memory_used_bytes",
                "qwen_gpu_temperature_celsius",
                "qwen_gpu_power_watts",
                "qwen_gpu_power_limit_watts",
                "qwen_gpu_throttled",
            ):
                checks.expect(f"exports {metric}", metric in (fetch("/metrics") or ""))
            process.terminate()
            checks.expect("it drains", process.wait(_SECONDS) == 0)
        finally:
            process.kill()
            checks.found["launcher"] = (process.communicate()[0] or "").splitlines()


def peak_bytes() -> int:
    """The high-water mark that the launcher reports."""
    return read_report(fetch("/report") or "").measured.device_bytes_peak or 0


def launcher_command(folder: Path, row: PlanRow, *options: str) -> list[str]:
    """The launcher from the sources, or from the zipapp when there is one."""
    plan = folder / "plan"
    plan.mkdir()
    for name, text in write_plan((row,)).items():
        (plan / name).write_text(text)
    (folder / "script.json").write_text("{}")
    server = _REPOSITORY / "tests/runtime/launcher/scripted_server.py"
    program = [bundle] if bundle else ["-m", "qwen_runtime.launcher"]
    command = [sys.executable, *program, "--plan", str(plan), "--fetched", str(folder / "none")]
    command += ["--port", str(_PORT), "--http-port", str(_HTTP_PORT), *options]
    command += ["--termination-log", str(folder / "termination")]
    return [*command, "--model-server", sys.executable, str(server), str(folder / "script.json")]


def launcher_env() -> dict[str, str]:
    """With the way to the sources."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def holding(count_bytes: int) -> Iterator[None]:
    """Another process has so much of the card."""
    command = [sys.executable, "-c", _HOLD, str(count_bytes)]
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or process.stdout.readline() != "held\n":
            raise RuntimeError("torch could not allocate")
        yield
    finally:
        process.communicate("")


def run_python(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A process with a CUDA context of its own. Raises RuntimeError with what it said."""
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if check and ended.returncode:
        raise RuntimeError(ended.stderr)
    return ended


def fetch(path: str) -> str | None:
    """A page of the launcher; None unless it answers 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}{path}", timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return None


def eventually(holds: Callable[[], object]) -> None:
    """Wait until it holds. Raises TimeoutError."""
    until = time.monotonic() + _SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("not in time")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
