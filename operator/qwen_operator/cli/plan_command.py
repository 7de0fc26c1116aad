"""``kubectl qwen plan``: read the input, plan, print."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.api.v1alpha1 import QwenDeploymentSpec
from qwen_operator.catalog.cards import (
    Card,
    card_name,
    describe_card,
    find_card,
    parse_compute_capability,
)
from qwen_operator.catalog.models import Model, find_model, inherit_parsers, model_from_config
from qwen_operator.cli.exit_codes import BAD_INPUT, NOTHING_FITS, OK
from qwen_operator.cli.plan_rows import rows_as_dicts
from qwen_operator.cli.planned import Planned
from qwen_operator.errors import MISSING, InvalidInput, Words
from qwen_operator.naming import API_VERSION, GPU_PRODUCT_LABEL, KIND
from qwen_operator.planning.cost import Prices
from qwen_operator.planning.from_spec import cards_of, request_of, version_for
from qwen_operator.planning.plan import plan
from qwen_operator.planning.request import LORA_RANKS, LoraSlots, PlanRequest
from qwen_operator.planning.result import RefusedCard
from qwen_operator.units import MIB

_DEFAULT_LORA_RANK = 16
_UNNAMED_MODEL = "local/model"


def run(options: argparse.Namespace) -> int:
    """Plan what the options say; returns the exit code. Raises `InvalidInput`."""
    prices = _prices(options)
    every = [_plan_document(options, document) for document in _documents(options)]
    if not any(planned.rows for planned in every):
        refused = (r for planned in every for r in planned.results if isinstance(r, RefusedCard))
        for sentence in dict.fromkeys(result.refusal.sentence for result in refused):
            print(f"error: {sentence}", file=sys.stderr)
        return BAD_INPUT
    _print(options, every, prices)
    return OK if any(planned.fitting for planned in every) else NOTHING_FITS


def _plan_document(options: argparse.Namespace, document: object) -> Planned:
    model = None
    if options.config_json is not None:
        model = _model_from_file(options, parse_qwen_deployment(document).spec.model)
    elif options.filename is None:
        model = find_model(parse_qwen_deployment(document).spec.model)
    if model is not None and options.filename is None and options.precision is None:
        # Without a word on precision, a quantised checkpoint means its own.
        document = _with_spec(document, precision=str(next(iter(model.checkpoints))))
    deployment = parse_qwen_deployment(document)
    spec = deployment.spec
    request = _with_options(request_of(spec, model or find_model(spec.model)), options)
    results = tuple(
        result
        for card in _cards(options, spec)
        for result in plan(
            replace(request, vllm_version=options.vllm_version or version_for(card)), (card,)
        )
    )
    return Planned(deployment.metadata.name, request, results)


def _model_from_file(options: argparse.Namespace, name: str) -> Model:
    """The model of ``--config-json``; its weights lie beside the file, as far as we know."""
    config = _read_json(options.config_json)
    model = model_from_config(name, config, folder=str(Path(options.config_json).parent))
    return inherit_parsers(model) if options.model is not None else model


def _documents(options: argparse.Namespace) -> Iterator[object]:
    """QwenDeployments to plan, with the options laid over their specs."""
    overrides = _spec_overrides(options)
    if options.filename is None:
        if options.model is None and options.config_json is None:
            raise InvalidInput(
                "the model", MISSING, "there is nothing to plan",
                "give -f FILE, --model or --config-json",
            )  # fmt: skip
        yield {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "plan"},
            "spec": {"model": _UNNAMED_MODEL, **overrides},
        }
        return
    found = False
    for document in _read_yaml_documents(options.filename):
        if isinstance(document, Mapping) and document.get("kind") not in (KIND, None):
            continue
        found = True
        yield _with_spec(document, **overrides)
    if not found:
        raise InvalidInput(
            options.filename,
            Words("without a QwenDeployment"),
            "there is nothing to plan",
            f"write kind: {KIND}",
        )


def _with_spec(document: object, **fields: Any) -> object:
    """The document with fields of its spec replaced; as it is where it has no spec to speak of."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(spec, Mapping):
        return document
    engine = spec.get("engine") or {}
    if "engine" in fields and isinstance(engine, Mapping):
        fields["engine"] = {**engine, **fields["engine"]}
    return {**document, "spec": {**spec, **fields}}


def _spec_overrides(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say in the words of the spec, so that one set of rules judges both."""
    engine = {
        "maxNumSeqs": options.max_num_seqs,
        "maxNumBatchedTokens": options.max_num_batched_tokens,
        "kvCacheDtype": options.kv_cache_dtype,
        "kvOffloadingGib": options.kv_offloading_gib,
        "enforceEager": options.enforce_eager or None,
        "enablePrefixCaching": False if options.no_prefix_caching else None,
        "maxCudagraphCaptureSize": options.max_cudagraph_capture_size,
        "languageModelOnly": options.language_model_only or None,
    }
    spec = {
        "model": options.model,
        "precision": options.precision,
        "contextLength": options.context_length,
        "tensorParallelSize": options.tensor_parallel_size,
        "profile": options.profile,
        "engine": {name: value for name, value in engine.items() if value is not None},
    }
    if options.gpu_memory_mib is None and options.gpu:
        spec["accelerators"] = [{"name": card_name(name)} for name in options.gpu]
    return {name: value for name, value in spec.items() if value not in (None, {})}


def _with_options(request: PlanRequest, options: argparse.Namespace) -> PlanRequest:
    """Lay over a request what only the command line can ask for."""
    engine = request.engine
    if (share := options.gpu_memory_utilization) is not None:
        if not 0 < share <= 1:
            raise InvalidInput(
                "--gpu-memory-utilization", share, "it is a share above 0 and up to 1",
                "write for example 0.92",
            )  # fmt: skip
        engine = replace(engine, gpu_memory_utilization=share)
    if (size := options.kv_cache_bytes) is not None:
        engine = replace(engine, kv_cache_bytes=_at_least("--kv-cache-bytes", size, 1))
    return replace(
        request,
        engine=replace(engine, lora=_lora_slots(options)),
        compile_cache=options.compile_cache,
    )


def _lora_slots(options: argparse.Namespace) -> LoraSlots | None:
    slots, rank = options.max_loras, options.max_lora_rank
    if slots is None and rank is None:
        return None
    rank = _DEFAULT_LORA_RANK if rank is None else rank
    if rank not in LORA_RANKS:
        raise InvalidInput(
            "--max-lora-rank", rank, "vLLM has slots of " + ", ".join(map(str, LORA_RANKS)),
            "give the next one up",
        )  # fmt: skip
    return LoraSlots(
        max_loras=1 if slots is None else _at_least("--max-loras", slots, 1), max_rank=rank
    )


def _cards(options: argparse.Namespace, spec: QwenDeploymentSpec) -> tuple[Card, ...]:
    described = () if options.gpu_memory_mib is None else (_described_card(options),)
    if not described and options.compute_capability is not None:
        raise InvalidInput(
            "--compute-capability", options.compute_capability,
            "it describes a card together with its memory", "give --gpu-memory-mib too",
        )  # fmt: skip
    cards = described or (_cluster_cards(options) if options.cluster else cards_of(spec))
    if options.reserved_memory_mib is None:
        return cards
    reserved = _at_least("--reserved-memory-mib", options.reserved_memory_mib, 0) * MIB
    return tuple(replace(card, reserved_bytes=reserved) for card in cards)


def _cluster_cards(options: argparse.Namespace) -> tuple[Card, ...]:
    """The cards that the nodes of a cluster have."""
    from qwen_operator.cli.cluster_cards import read_cluster_cards
    from qwen_operator.cli.kubectl import Kubectl

    if options.gpu:
        raise InvalidInput(
            "--cluster", Words("given with --gpu"), "either names the cards", "leave one out"
        )
    nodes = Kubectl(options).get("nodes", "--selector", GPU_PRODUCT_LABEL)["items"]
    found = read_cluster_cards(nodes)
    for each in found:
        where = "1 node" if each.nodes == 1 else f"{each.nodes} nodes"
        print(
            f"{each.card.name}: {each.gpus} on {where}, at most {each.most_per_node} on one",
            file=sys.stderr,
        )
    return tuple(each.card for each in found)


def _described_card(options: argparse.Namespace) -> Card:
    memory = _at_least("--gpu-memory-mib", options.gpu_memory_mib, 1)
    names: list[str] = options.gpu or []
    if len(names) > 1:
        raise InvalidInput(
            "--gpu-memory-mib", memory, "it describes one card", "give --gpu at most once with it"
        )
    if options.compute_capability is not None:
        capability = parse_compute_capability(options.compute_capability)
        unnamed = f"{memory} MiB, compute capability {options.compute_capability}"
        name = names[0] if names else unnamed
        return describe_card(name, memory, capability)
    if names:
        return replace(find_card(names[0]), memory_bytes=memory * MIB)
    raise InvalidInput(
        "--gpu-memory-mib", memory, "memory alone does not describe a card",
        "give --compute-capability too, such as 8.9, or --gpu",
    )  # fmt: skip


def _prices(options: argparse.Namespace) -> Prices | None:
    prices = Prices(
        gpu_hour=_price("--gpu-price", options.gpu_price),
        kilowatt_hour=_price("--electricity-price", options.electricity_price),
        api_million_tokens=_price("--api-price", options.api_price),
    )
    return prices if options.cost or prices != Prices() else None


def _price(option: str, value: float | None) -> float | None:
    if value is not None and (value < 0 or not math.isfinite(value)):
        raise InvalidInput(option, value, "a price is not negative", "give 0 or more")
    return value


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise InvalidInput(option, value, f"it is at least {least}", "give a larger integer")
    return value


def _print(options: argparse.Namespace, every: list[Planned], prices: Prices | None) -> None:
    if options.output == "table":
        from qwen_operator.cli.plan_table import render_table

        print(render_table(every, prices, explain=options.explain))
        return
    rows = [
        row for planned in every for row in rows_as_dicts(planned, prices, explain=options.explain)
    ]
    if options.output == "json":
        print(json.dumps(rows, indent=2))
    else:
        import yaml

        print(yaml.safe_dump(rows, sort_keys=False, width=100), end="")


def _read_json(path: str) -> Mapping[str, Any]:
    try:
        config = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InvalidInput(
            path,
            Words("unreadable"),
            f"line {error.lineno} is not JSON ({error.msg})",
            "give a config.json",
        ) from None
    except (ValueError, RecursionError):
        raise InvalidInput(
            path, Words("unreadable"), "no config.json is so", "give a real one"
        ) from None
    if not isinstance(config, Mapping):
        raise InvalidInput(path, type(config).__name__, "it holds no object", "give a config.json")
    return config


def _read_yaml_documents(path: str) -> list[Any]:
    import yaml

    text = _read_text(path)
    try:
        return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise InvalidInput(
            path, Words("unreadable"), f"{where} is not YAML ({problem})", "mend it"
        ) from None
    except (ValueError, RecursionError):
        raise InvalidInput(
            path, Words("unreadable"), "no QwenDeployment is so", "give a real one"
        ) from None


def _read_text(path: str) -> str:
    """The text of a file, or of standard input for ``-``."""
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not text").lower()
        raise InvalidInput(
            path, Words("unreadable"), reason, "give a file that can be read"
        ) from None
