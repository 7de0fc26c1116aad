"""Why vLLM ended: a typed failure from its last lines, its exit status and how far it had come.

Rules are tried in order, the most specific first: a card without memory also kills the engine, but
"engine dead" helps nobody. The sentences are those of vLLM 0.32 and 0.33, torch and safetensors.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_runtime.launcher.cards import gib
from qwen_runtime.launcher.log_reader import is_harmless, strip_line

_LOG_LINES: Final = 20
_LINES_AFTER: Final = 3
_LINE_CHARACTERS: Final = 400
_USAGE_ERROR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How vLLM ended."""

    lines: tuple[str, ...]
    """Its last ones, as it wrote them."""
    exit_code: int | None
    """None when a signal ended it."""
    signal_number: int | None
    stage: Stage
    oom_kills: int = 0
    """Processes of the container that the kernel has killed for want of memory, meanwhile."""
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    reason: FailureReason
    explain: Callable[[re.Match[str], Stage], str]
    stage: Stage | None = None
    """Where the sentence alone tells the stage better than the log before it."""


def classify(ending: Ending) -> Failure:
    """Total: what no rule knows is Unknown, with the last error of the log."""
    lines = tuple(text for line in ending.lines if (text := strip_line(line)))
    causes = tuple(strip_line(line) for line in ending.lines if not is_harmless(line))
    found = _first_known(causes, ending.stage) or _from_status(ending, lines)
    reason, message, stage = found
    return Failure(reason=reason, stage=stage, message=message, log=_last_words(lines))


_WHILE_SERVING: Final = frozenset(
    (
        FailureReason.CUDA_OUT_OF_MEMORY,
        FailureReason.HOST_OUT_OF_MEMORY,
        FailureReason.DISK_FULL,
    )
)


def _first_known(lines: tuple[str, ...], stage: Stage) -> tuple[FailureReason, str, Stage] | None:
    serving = stage in (Stage.SERVE, Stage.DRAIN)
    for rule in _RULES:
        # A request may have been refused in the words of a start that fails.
        if serving and rule.reason not in _WHILE_SERVING:
            continue
        for line in lines:
            if found := rule.pattern.search(line):
                where = rule.stage or stage
                return rule.reason, rule.explain(found, where), where
    return None


def _from_status(ending: Ending, lines: tuple[str, ...]) -> tuple[FailureReason, str, Stage]:
    stage = ending.stage
    if ending.oom_kills or (
        ending.signal_number == signal.SIGKILL and ending.memory_limit_bytes is not None
    ):
        limit = "" if ending.memory_limit_bytes is None else f" of {gib(ending.memory_limit_bytes)}"
        certainty = "was" if ending.oom_kills else "was probably"
        return (
            FailureReason.HOST_OUT_OF_MEMORY,
            f"vLLM {certainty} killed for want of main memory, at the container's limit{limit}; "
            "raise spec.resources.memory",
            stage,
        )
    if found := _first(_ENGINE_KILLED, lines):
        return (
            FailureReason.ENGINE_DEAD,
            f"a process of vLLM ({found[1]}) was ended by signal {found[2]} {_during(stage)}; the "
            "node's kernel log says by whom",
            stage,
        )
    if found := _first(_ENGINE_DEAD, lines):
        cause = _last_error(lines)
        return (
            FailureReason.ENGINE_DEAD,
            f"vLLM's engine ended {_during(stage)}"
            + (f": {cause}" if cause else "; the log before says why"),
            stage,
        )
    if ending.exit_code == _USAGE_ERROR and (found := _first(_USAGE, lines)):
        return (
            FailureReason.BAD_ARGUMENTS,
            f"vLLM refuses its arguments: {found[1]}; {_EXTRA_ARGS}",
            Stage.START,
        )
    cause = _last_error(lines)
    return (
        FailureReason.UNKNOWN,
        f"vLLM {_ended(ending)} {_during(stage)}" + (f": {cause}" if cause else ""),
        stage,
    )


def _first(pattern: re.Pattern[str], lines: tuple[str, ...]) -> re.Match[str] | None:
    return next((found for line in lines if (found := pattern.search(line))), None)


def _ended(ending: Ending) -> str:
    if ending.signal_number is None:
        return f"ended with status {ending.exit_code}"
    try:
        name = signal.Signals(ending.signal_number).name
    except ValueError:
        name = str(ending.signal_number)
    return f"was ended by signal {name}"


_DURING: Final = {
    Stage.START: "while starting",
    Stage.LOAD_WEIGHTS: "while loading weights",
    Stage.COMPILE: "while compiling",
    Stage.PROFILE: "in its trial run",
    Stage.ALLOCATE_KV_CACHE: "while allocating the KV cache",
    Stage.CAPTURE_GRAPHS: "while capturing CUDA graphs",
    Stage.WARM_UP: "while warming up",
    Stage.SERVE: "while serving",
    Stage.DRAIN: "while draining",
}


def _during(stage: Stage) -> str:
    return _DURING.get(stage, "before it started")


_ERROR: Final = re.compile(r"^(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Interrupt|Dead)\b(?::|$)")
_SEQUEL: Final = re.compile(
    r"Engine core initialization failed|WorkerProc initialization failed|EngineDeadError"
    r"|EngineCore encountered an issue|CancelledError|Frontend process failed"
)
"""What the other processes say once the first has failed."""


def _last_error(lines: tuple[str, ...]) -> str | None:
    errors = [line for line in lines if _ERROR.match(line) and not _SEQUEL.search(line)]
    return _shorten(errors[-1]) if errors else None


def _last_words(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Up to a little behind the first error that is no sequel: what follows repeats it."""
    errors = [position for position, line in enumerate(lines) if _ERROR.match(line)]
    roots = [position for position in errors if not _SEQUEL.search(lines[position])]
    first = next(iter(roots or errors), len(lines) - 1)
    end = min(len(lines), first + _LINES_AFTER)
    return tuple(map(_shorten, lines[max(0, end - _LOG_LINES) : end]))


def _shorten(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 1] + "…"


_EXTRA_ARGS: Final = "correct spec.engine.extraArgs"

_ENGINE_KILLED: Final = re.compile(
    r"(?:Failed core proc\(s\): \{'|Worker proc )(\w[\w-]*)(?:': |.*\(exit code: )-(\d+)"
)
_ENGINE_DEAD: Final = re.compile(
    r"EngineDeadError|EngineCore encountered a fatal error|Engine core proc(?:ess)? .*died"
    r"|died unexpectedly"
)
_USAGE: Final = re.compile(r"^\S+: error: (.+)$")


def _out_of_memory(found: re.Match[str], stage: Stage) -> str:
    tried, total, free = found["tried"], found["total"], found["free"]
    what = {
        Stage.LOAD_WEIGHTS: "choose a smaller spec.precision or a larger spec.tensorParallelSize",
        Stage.SERVE: "lower spec.engine.maxNumSeqs or spec.contextLength",
    }.get(stage, "lower spec.engine.maxNumSeqs, maxNumBatchedTokens or spec.contextLength")
    figures = f"{tried} more" + (f", {free} free of {total}" if total and free else "")
    return f"the GPU ran out of memory {_during(stage)} ({figures}); {what}"


_RULES: Final = (
    _Rule(
        re.compile(
            r"Free memory on device \S+ "
            r"\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than desired GPU "
            r"memory utilization \([\d.]+, (?P<wanted>[\d.]+) GiB\)"
        ),
        FailureReason.GPU_BUSY,
        lambda found, stage: (
            f"the GPU has {found['free']} of {found['total']} GiB free and vLLM wants "
            f"{found['wanted']} GiB; end what else runs there, or set reservedMemoryMib of the "
            "card in spec.accelerators to what it needs"
        ),
        Stage.START,
    ),
    _Rule(
        re.compile(
            r"Error in memory profiling\. Initial free memory ([\d.]+) GiB, current free "
            r"memory ([\d.]+) GiB"
        ),
        FailureReason.GPU_BUSY,
        lambda found, stage: (
            f"another process let go of GPU memory during the start ({found[1]} GiB were free, "
            f"then {found[2]} GiB): the card is shared; give the model a card of its own"
        ),
        Stage.PROFILE,
    ),
    _Rule(
        re.compile(
            r"max_num_seqs \((?P<seqs>\d+)\) exceeds available Mamba cache blocks "
            r"\((?P<blocks>\d+)\)"
        ),
        FailureReason.STATE_BLOCKS_TOO_FEW,
        lambda found, stage: (
            f"the KV cache holds the states of {found['blocks']} requests and the plan wants "
            f"{found['seqs']} at once; set spec.engine.maxNumSeqs to {found['blocks']} or less"
        ),
        Stage.CAPTURE_GRAPHS,
    ),
    _Rule(
        re.compile(
            r"max seq len \((?P<length>\d+)\), \((?P<needed>[\d.]+) GiB KV cache is needed, which "
            r"is larger than the available KV cache memory \((?P<there>[\d.]+) GiB\)\."
            r"(?:.*estimated maximum model length is (?P<fits>\d+))?"
        ),
        FailureReason.KV_CACHE_TOO_SMALL,
        lambda found, stage: (
            f"one request of {found['length']} tokens needs {found['needed']} GiB of KV cache and "
            f"there are {found['there']} GiB; lower spec.contextLength"
            + (f" to {found['fits']}" if found["fits"] else "")
        ),
        Stage.ALLOCATE_KV_CACHE,
    ),
    _Rule(
        re.compile(r"No available memory for the cache blocks|Cannot auto-fit max_model_len"),
        FailureReason.KV_CACHE_TOO_SMALL,
        lambda found, stage: (
            "nothing is left for the KV cache after weights and working memory; choose a smaller "
            "spec.precision or a larger spec.tensorParallelSize"
        ),
        Stage.ALLOCATE_KV_CACHE,
    ),
    _Rule(
        re.compile(
            r"CUDA out of memory\. Tried to allocate (?P<tried>[\d.]+ [KMG]iB)"
            r"(?:\. GPU \d+ has a total capacity of (?P<total>[\d.]+ [KMG]iB) of which "
            r"(?P<free>[\d.]+ [KMG]iB|[\d.]+ bytes) is free)?"
        ),
        FailureReason.CUDA_OUT_OF_MEMORY,
        _out_of_memory,
    ),
    _Rule(
        re.compile(
            r"CUDA (?:driver )?error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
            r"|cudaErrorMemoryAllocation|CUDA out of memory|NCCL.*Cuda failure.*out of memory"
        ),
        FailureReason.CUDA_OUT_OF_MEMORY,
        lambda found, stage: (
            f"the GPU ran out of memory {_during(stage)}; lower spec.engine.maxNumSeqs, "
            "maxNumBatchedTokens or spec.contextLength"
        ),
    ),
    _Rule(
        re.compile(r"No space left on device|OSError: \[Errno 28\]|Disk quota exceeded"),
        FailureReason.DISK_FULL,
        lambda found, stage: (
            f"a volume is full {_during(stage)}; raise spec.cache.size, or free space on it"
        ),
    ),
    _Rule(
        re.compile(r"Weight files referenced in index but missing: \{?(?P<files>.*?)\}?$"),
        FailureReason.WEIGHTS_MISSING,
        lambda found, stage: (
            f"the checkpoint lacks files that its index names: {_files(found['files'])}; complete "
            "it, or delete its folder in the cache so that it is fetched again"
        ),
        Stage.LOAD_WEIGHTS,
    ),
    _Rule(
        re.compile(r"Cannot find any model weights with `(?P<model>[^`]*)`"),
        FailureReason.WEIGHTS_MISSING,
        lambda found, stage: (
            f"{found['model']} holds no weights; correct spec.model or spec.source"
        ),
        Stage.LOAD_WEIGHTS,
    ),
    _Rule(
        re.compile(r"weights were not initialized from checkpoint: \{(?P<names>.*)\}"),
        FailureReason.WEIGHTS_MISSING,
        lambda found, stage: (
            f"the checkpoint lacks tensors of the model ({_shorten(found['names'])[:200]}); it is "
            "not complete, or not of this model: correct spec.model or spec.source"
        ),
        Stage.LOAD_WEIGHTS,
    ),
    _Rule(
        re.compile(
            r"SafetensorError: (?P<why>.*)"
            r"|in parse_safetensors_file_metadata"
            r"|PytorchStreamReader failed"
        ),
        FailureReason.WEIGHTS_CORRUPT,
        lambda found, stage: (
            "a file of the weights is damaged"
            + (f" ({found['why']})" if found["why"] else "")
            + "; delete its folder in the cache so that it is fetched again, or correct spec.source"
        ),
        Stage.LOAD_WEIGHTS,
    ),
    _Rule(
        re.compile(
            r"Attempted to load weight \(torch\.Size\((?P<there>\[[\d, ]*\])\)\) into parameter "
            r"\(torch\.Size\((?P<wanted>\[[\d, ]*\])\)\)"
            r"|start \(\d+\) \+ length \(\d+\) exceeds dimension size \(\d+\)"
            r"|size mismatch for"
        ),
        FailureReason.WEIGHTS_CORRUPT,
        lambda found, stage: (
            "a tensor of the checkpoint has another shape than config.json says"
            + (f" ({found['there']} for {found['wanted']})" if found["there"] else "")
            + "; files of two checkpoints are mixed: delete the folder in the cache, or correct "
            "spec.source"
        ),
        Stage.LOAD_WEIGHTS,
    ),
    _Rule(
        re.compile(
            r"Model architectures (?P<what>\[.*?\]) (?:are not supported|failed to be inspected)"
            r"|Model architecture (?P<one>\S+) (?:was supported|is not supported)"
            r"|model type [`'](?P<type>\w+)[`'].*Transformers does not recognize"
        ),
        FailureReason.MODEL_UNSUPPORTED,
        lambda found, stage: (
            f"this vLLM does not know the model {found['what'] or found['one'] or found['type']}; "
            "choose another spec.model, or a newer vLLM by spec.image"
        ),
        Stage.START,
    ),
    _Rule(
        re.compile(
            r"(?:can't|Can't|Couldn't|cannot) (?:load|find|instantiate).*tokenizer"
            r"|Failed to load the tokenizer"
            r"|(?:does not appear to have a file named|Invalid repository ID or local directory)"
            r"|no file named (?:config|tokenizer)"
            r"|couldn't find them in the cached files"
        ),
        FailureReason.WEIGHTS_MISSING,
        lambda found, stage: (
            "the checkpoint lacks its tokenizer or config.json; complete it, correct spec.source, "
            "or delete its folder in the cache so that it is fetched again"
        ),
        Stage.START,
    ),
    _Rule(
        re.compile(
            r"Cannot allocate memory|MemoryError|std::bad_alloc|DefaultCPUAllocator: "
            r"(?:can't allocate memory|not enough memory)"
        ),
        FailureReason.HOST_OUT_OF_MEMORY,
        lambda found, stage: f"main memory ran out {_during(stage)}; raise spec.resources.memory",
    ),
    _Rule(
        re.compile(
            r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived "
            r"max_model_len \((?P<most>[^)]*)\)"
        ),
        FailureReason.BAD_ARGUMENTS,
        lambda found, stage: (
            f"the model takes fewer tokens than the {found['asked']} that are asked for "
            f"({found['most']}); lower spec.contextLength"
        ),
        Stage.START,
    ),
    _Rule(
        re.compile(r"Address already in use|error while attempting to bind on address"),
        FailureReason.BAD_ARGUMENTS,
        lambda found, stage: (
            "vLLM's port is taken by another process; with hostNetwork in spec.podTemplate only "
            "one replica fits on a node"
        ),
        Stage.START,
    ),
    _Rule(
        re.compile(r"^\S+: error: (?P<what>(?:argument |unrecognized arguments|the following).*)$"),
        FailureReason.BAD_ARGUMENTS,
        lambda found, stage: f"vLLM refuses its arguments: {found['what']}; {_EXTRA_ARGS}",
        Stage.START,
    ),
    _Rule(
        re.compile(r"^\s*Value error, (?P<what>.*?)(?: \[type=.*)?$"),
        FailureReason.BAD_ARGUMENTS,
        lambda found, stage: (
            f"vLLM refuses its configuration: {_shorten(found['what'])}; {_EXTRA_ARGS}"
        ),
        Stage.START,
    ),
)


def _files(names: str) -> str:
    return ", ".join(part.strip(" '\"").rpartition("/")[2] for part in names.split(","))[:300]
