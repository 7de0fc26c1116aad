"""How the weights of a checkpoint are stored, read from its ``quantization_config``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qwen_operator.api.enums import Precision
from qwen_operator.catalog.config_reader import ConfigReader
from qwen_operator.catalog.geometry import Geometry, parse_geometry
from qwen_operator.errors import InvalidInput


class CheckpointFormat(StrEnum):
    """Storage of the linear layers in a checkpoint, by the names the field uses."""

    BITS16 = "16-bit"
    AWQ = "awq"
    GPTQ_INT4 = "gptq-int4"
    GPTQ_INT8 = "gptq-int8"
    INT8 = "int8"
    """Compressed-tensors W8A8 or W8A16."""
    FP8 = "fp8"
    FP8_BLOCK = "fp8-block"
    NVFP4 = "nvfp4"

    @property
    def precision(self) -> Precision:
        """The precision a user names for it."""
        return _PRECISIONS[self]


_PRECISIONS = {
    CheckpointFormat.BITS16: Precision.BF16,
    CheckpointFormat.AWQ: Precision.INT4,
    CheckpointFormat.GPTQ_INT4: Precision.INT4,
    CheckpointFormat.GPTQ_INT8: Precision.INT8,
    CheckpointFormat.INT8: Precision.INT8,
    CheckpointFormat.FP8: Precision.FP8,
    CheckpointFormat.FP8_BLOCK: Precision.FP8,
    CheckpointFormat.NVFP4: Precision.INT4,
}


class WeightPart(StrEnum):
    """The part of a model a tensor belongs to; a quantisation scheme names a format for each."""

    EMBEDDING = "embedding"
    ATTENTION = "attention"
    FFN = "ffn"
    """Dense feed-forward layers, and experts that every token passes."""
    EXPERTS = "experts"
    UNQUANTISED = "unquantised"
    """Norms, biases, routers, convolutions: 16-bit in every checkpoint."""
    VISION = "vision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One published set of weights."""

    repository: str
    format: CheckpointFormat
    geometry: Geometry
    """The model's own, but for padding that quantisation asked for (Qwen2.5-72B)."""
    group_size: int = 128
    sixteen_bit_parts: frozenset[WeightPart] = frozenset()
    """Parts that the quantisation left out, beside embedding and lm_head."""


def parse_checkpoint(repository: str, config: Mapping[str, Any]) -> Checkpoint:
    """Read the storage of a checkpoint from its ``config.json``.

    Raises `InvalidInput` for a quantisation that vLLM or the planner does not know.
    """
    geometry = parse_geometry(config)
    if config.get("quantization_config") is None:
        return Checkpoint(repository=repository, format=CheckpointFormat.BITS16, geometry=geometry)
    quantization = ConfigReader(config).section("quantization_config")
    group_size = _weights(quantization).values.get("group_size")
    return Checkpoint(
        repository=repository,
        format=_format(quantization),
        geometry=geometry,
        group_size=group_size if isinstance(group_size, int) and group_size > 0 else 128,
        sixteen_bit_parts=sixteen_bit_parts(geometry, quantization),
    )


def _format(quantization: ConfigReader) -> CheckpointFormat:
    weights, values = _weights(quantization).values, quantization.values
    method = str(values.get("quant_method", "")).removeprefix("intel/")
    bits = weights.get("bits") or weights.get("num_bits")
    is_float = weights.get("type") == "float"
    match method, bits:
        case "awq" | "awq_marlin" | "auto_awq", 4:
            return CheckpointFormat.AWQ
        case "gptq" | "gptq_marlin" | "auto_gptq" | "auto-round" | "inc", 4:
            return CheckpointFormat.GPTQ_INT4
        case "gptq" | "gptq_marlin" | "auto_gptq" | "auto-round" | "inc", 8:
            return CheckpointFormat.GPTQ_INT8
        case "fp8" | "fbgemm_fp8", _:
            block = values.get("weight_block_size")
            return CheckpointFormat.FP8_BLOCK if block else CheckpointFormat.FP8
        case "compressed-tensors", 8 if is_float:
            block = weights.get("strategy") == "block"
            return CheckpointFormat.FP8_BLOCK if block else CheckpointFormat.FP8
        case "compressed-tensors", 8:
            return CheckpointFormat.INT8
        case "compressed-tensors", 4 if is_float:
            return CheckpointFormat.NVFP4
        case "compressed-tensors", 4:
            symmetric = weights.get("symmetric", True)
            return CheckpointFormat.GPTQ_INT4 if symmetric else CheckpointFormat.AWQ
        case "modelopt" | "modelopt_fp4", _:
            fp4 = "FP4" in str(values.get("quant_algo", "")).upper()
            return CheckpointFormat.NVFP4 if fp4 else CheckpointFormat.FP8
    raise InvalidInput(
        "config.json: quantization_config",
        f"{method or 'none'} with {bits} bits",
        "planned are awq and gptq (4 or 8 bits), fp8, compressed-tensors and modelopt",
        "use a checkpoint in one of these formats (NF4 and GGUF need vLLM plug-ins)",
    )


def _group(quantization: ConfigReader) -> ConfigReader:
    """The first group of layers of compressed-tensors; empty for other methods."""
    groups = quantization.section("config_groups")
    return groups.section(next(iter(groups.values), ""))


def _weights(quantization: ConfigReader) -> ConfigReader:
    """What describes the weights: a group's, or the quantisation's own keys."""
    weights = _group(quantization).section("weights")
    return weights if weights.values else quantization


def sixteen_bit_parts(geometry: Geometry, quantization: ConfigReader) -> frozenset[WeightPart]:
    """Parts of the model that a ``quantization_config`` leaves in 16 bits."""
    excluded = tuple(_excluded(quantization))
    targets = _group(quantization).texts("targets")
    # One module of a middle layer stands for all modules of its part.
    modules = {
        WeightPart.ATTENTION: "model.layers.1.self_attn.q_proj",
        WeightPart.FFN: f"model.layers.1.mlp.{'shared_expert.' if geometry.experts else ''}up_proj",
        WeightPart.EXPERTS: "model.layers.1.mlp.experts.1.up_proj",
    }
    return frozenset(
        part
        for part, module in modules.items()
        if any(_matches(pattern, module) for pattern in excluded)
        or (
            targets
            and not any(target == "Linear" or _matches(target, module) for target in targets)
        )
    )


def _excluded(quantization: ConfigReader) -> Iterator[str]:
    for key in ("modules_to_not_convert", "ignore", "exclude_modules"):
        yield from quantization.texts(key)
    # GPTQModel marks what it leaves out with "-:" before a regular expression.
    for key in quantization.section("dynamic").values:
        if key.startswith("-:"):
            yield f"re:{key[2:]}"


def _matches(pattern: str, module: str) -> bool:
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], module) is not None
        except re.error as error:
            raise InvalidInput(
                "config.json: quantization_config",
                pattern,
                f"it is no regular expression ({error})",
                "use the config.json that is published with the model",
            ) from None
    # A list may name the router ("mlp.gate") of every layer: only whole names count.
    return f".{pattern.strip('*.')}." in f".{module}."
