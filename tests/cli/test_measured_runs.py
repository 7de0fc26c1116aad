"""The command, asked for what real vLLM was started with, against what vLLM logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.planner.measurements import LOG_ROUNDING_GIB, Measurement, load_measurements
from qwen_operator.cli.main import main
from qwen_operator.units import GIB

RUNS = [run for run in load_measurements() if not run.flashinfer_sampler]
PRECISION_OF_QUANTIZATION = {"fp8": "fp8", "fp8_per_tensor": "fp8", "online": "mixed"}


def options_of(measurement: Measurement, config: Path) -> list[str]:
    run, args = measurement.run, measurement.run["args"]
    major, minor = measurement.card.compute_capability or (0, 0)
    options = {
        "--config-json": config,
        "--gpu-memory-mib": int(run["card_gib"] * 1024),
        "--compute-capability": f"{major}.{minor}",
        "--gpu-memory-utilization": run["gpu_memory_utilization"],
        "--vllm-version": measurement.vllm_version,
        "--compile-cache": run["compile_cache"],
        "--context-length": args["max_model_len"],
        "--max-num-seqs": args["max_num_seqs"],
        "--max-num-batched-tokens": args["max_num_batched_tokens"],
        "--tensor-parallel-size": args.get("tensor_parallel_size", 1),
        "--kv-cache-dtype": args.get("kv_cache_dtype"),
        "--kv-cache-bytes": args.get("kv_cache_memory_bytes"),
        "--precision": PRECISION_OF_QUANTIZATION.get(args.get("quantization", "")),
        "--max-loras": args.get("max_loras"),
        "--max-lora-rank": args.get("max_lora_rank"),
        "--max-cudagraph-capture-size": args.get("max_cudagraph_capture_size"),
    }
    flags = {
        "--enforce-eager": args.get("enforce_eager"),
        "--language-model-only": args.get("language_model_only"),
    }
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    return ["plan", "-o", "json", *words, *(flag for flag, on in flags.items() if on)]


@pytest.mark.parametrize("measurement", RUNS, ids=lambda run: run.key)
def test_the_command_agrees_with_vllm(
    measurement: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(measurement.run["config"]))
    main(options_of(measurement, config))
    (row,) = json.loads(capsys.readouterr().out)
    if measurement.available_kv_gib is None:
        assert row["kv_cache_tokens"] == measurement.run["kv_tokens"]
        assert round(row["max_concurrency"], 2) == measurement.run["max_concurrency"]
        return
    band = row["band_bytes"] / GIB
    measured = measurement.available_kv_gib
    assert row["kv_cache_bytes_expected"] / GIB == pytest.approx(measured, abs=band)
    assert row["kv_cache_bytes"] / GIB <= measured + LOG_ROUNDING_GIB
    if row["fits"]:
        assert measurement.refused is None
