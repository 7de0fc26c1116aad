from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from qwen_operator.cli.main import main
from tests.catalog.configs import DENSE, HYBRID, VISION, without

GOLDEN = Path(__file__).parent / "golden" / "plan.json"
GOLDEN_REQUEST = (
    "plan --model Qwen/Qwen3-8B --precision int4 --context-length 32768 "
    "--gpu RTX4090 --gpu L4 --gpu A10G -o json"
)
SMALL = ("--model", "Qwen/Qwen3-0.6B")
ON_L4 = ("--model", "Qwen/Qwen3-4B", "--gpu", "L4")

REQUIRED_KEYS = {
    "gpu",
    "fits",
    "reason",
    "weights_bytes",
    "non_kv_bytes",
    "kv_cache_bytes_expected",
    "band_bytes",
    "kv_cache_bytes",
    "kv_cache_tokens",
    "max_concurrency",
    "args",
    "env",
}


class Answer:
    """Exit code and output of one command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*options: str) -> Answer:
        try:
            code = main(["plan", *options])
        except SystemExit as left:  # argparse
            code = left.code
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def refuse(run: Run) -> Callable[..., str]:
    def call(*options: str) -> str:
        answer = run(*options)
        assert answer.code == 1
        assert answer.out == ""
        assert answer.err.startswith("error: ")
        assert answer.err.endswith("\n")
        assert answer.err.count("\n") == 1, answer.err
        assert "Traceback" not in answer.err
        return answer.err

    return call


Refuse = Callable[..., str]


def deployment(name: str = "chat", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": name},
        "spec": {"model": "Qwen/Qwen3-4B", "accelerators": [{"name": "L4"}], **spec},
    }


def written(path: Path, *documents: Any) -> str:
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[..., str]:
    return lambda **spec: written(tmp_path / "spec.yaml", deployment(**spec))


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[object], str]:
    def write(config: object) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        return str(path)

    return write


SpecFile = Callable[..., str]
ConfigFile = Callable[[object], str]


# What a good request prints


def test_a_model_that_fits_gives_rows_and_exit_code_0(run: Run) -> None:
    answer = run(*SMALL, "-o", "json")
    assert answer.code == 0
    assert answer.err == ""
    assert [row["gpu"] for row in answer.rows] == ["RTX4090", "RTX4090D", "L4", "A10G"]
    assert all(row["fits"] for row in answer.rows)


def test_a_model_that_fits_nowhere_gives_reasons_and_exit_code_2(run: Run) -> None:
    answer = run("--model", "Qwen/Qwen3-32B", "-o", "json")
    assert answer.code == 2
    assert answer.err == ""
    assert not any(row["fits"] for row in answer.rows)
    assert all(row["reason"] and row["alternatives"] for row in answer.rows)


def test_one_card_that_fits_is_enough_for_exit_code_0(run: Run, spec_file: SpecFile) -> None:
    cards = [
        {"name": "small", "memoryMib": 6144, "computeCapability": "8.9"},
        {"name": "old", "memoryMib": 24000, "computeCapability": "7.5"},
        {"name": "L4"},
    ]
    answer = run("-f", spec_file(accelerators=cards), "-o", "json")
    assert answer.code == 0
    assert [row["fits"] for row in answer.rows] == [False, False, True]
    assert "weights_bytes" not in answer.rows[1]
    assert "8.0 or newer" in answer.rows[1]["reason"]


def test_every_row_has_the_promised_keys(run: Run) -> None:
    for row in run(*SMALL, "-o", "json").rows:
        assert set(row) >= REQUIRED_KEYS
        assert all(isinstance(each, str) for each in row["args"])
        assert all(isinstance(each, str) for each in row["env"].values())
        assert "weights_bytes" not in row["non_kv_bytes"]


def test_the_bytes_of_a_row_add_up(run: Run) -> None:
    for row in run("--model", "Qwen/Qwen3-8B", "-o", "json").rows:
        assert row["budget"]["requested_bytes"] == (
            row["weights_bytes"]
            + sum(row["non_kv_bytes"].values())
            + row["kv_cache_bytes_expected"]
        )
        pinned = row["args"][row["args"].index("--kv-cache-memory-bytes") + 1]
        assert pinned == str(row["kv_cache_bytes"])


@pytest.mark.parametrize(
    "options",
    [
        SMALL,
        ("--model", "Qwen/Qwen3-4B", "--cost", "--explain"),
        ("--model", "Qwen/Qwen3-4B", "--precision", "mixed", "--tensor-parallel-size", "2"),
    ],
)
def test_yaml_says_what_json_says(run: Run, options: tuple[str, ...]) -> None:
    in_json, in_yaml = (run(*options, "-o", form) for form in ("json", "yaml"))
    assert in_yaml.code == in_json.code
    assert yaml.safe_load(in_yaml.out) == in_json.rows


def test_yaml_says_what_json_says_of_alternatives_too(run: Run) -> None:
    options = ("--model", "Qwen/Qwen3-14B", "--gpu", "L4")
    in_json, in_yaml = (run(*options, "-o", form) for form in ("json", "yaml"))
    assert "precision" in {
        field for each in in_json.rows[0]["alternatives"] for field in each["changes"]
    }
    assert yaml.safe_load(in_yaml.out) == in_json.rows


def test_the_table_shows_every_card_its_flags_and_its_reasons(run: Run) -> None:
    answer = run("--model", "Qwen/Qwen3-8B", "--precision", "int4", "--gpu", "L4", "--gpu", "A10G")
    assert answer.code == 0
    assert answer.out.splitlines()[0].startswith("Qwen/Qwen3-8B  int4  context 8,192")
    for words in ("L4", "A10G", "vllm serve Qwen/Qwen3-8B-AWQ", "Decisions", "KV cache"):
        assert words in answer.out
    assert "\x1b" not in answer.out


def test_the_table_shows_what_would_fit(run: Run) -> None:
    answer = run("--model", "Qwen/Qwen3-14B", "--gpu", "L4")
    assert answer.code == 2
    assert "L4 cannot serve it: contextLength 8,192 needs" in answer.out
    assert "What would fit there:" in answer.out
    assert "precision int4" in answer.out
    assert "vllm serve" not in answer.out


def command_of(table: str) -> list[str]:
    lines = table.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("On ")) + 1
    last = next(index for index in range(first, len(lines)) if not lines[index].endswith("\\"))
    return shlex.split("\n".join(lines[first : last + 1]).replace("\\\n", " "))


@pytest.mark.parametrize(
    "options",
    [
        ON_L4,
        (*ON_L4, "--precision", "mixed"),
        (*ON_L4, "--context-length", "131072", "--precision", "int4", "--kv-cache-dtype", "fp8"),
    ],
)
def test_the_command_in_the_table_can_be_pasted_into_a_shell(
    run: Run, options: tuple[str, ...]
) -> None:
    words = command_of(run(*options).out)
    (row,) = run(*options, "-o", "json").rows
    start = words.index("vllm")
    assert dict(word.split("=", 1) for word in words[:start]) == row["env"]
    assert words[start:] == ["vllm", "serve", row["checkpoint"], *row["args"]]


def test_extra_arguments_can_be_pasted_into_a_shell_too(run: Run, spec_file: SpecFile) -> None:
    argument = '--override-generation-config={"top_k": 1}'
    path = spec_file(engine={"extraArgs": [argument]})
    assert command_of(run("-f", path).out)[-1] == argument


def test_explain_shows_the_arithmetic(run: Run) -> None:
    (row,) = run(*ON_L4, "--explain", "-o", "json").rows
    assert any("what vLLM may use by its own count" in line for line in row["explanation"])
    assert "explanation" not in run(*ON_L4, "-o", "json").rows[0]
    table = run(*ON_L4, "--explain").out
    for line in row["explanation"]:
        assert line.strip() in table


def test_cost_shows_prices(run: Run) -> None:
    (row,) = run(*ON_L4, "--gpu-price", "0.8", "--api-price", "0.4", "-o", "json").rows
    assert row["cost"]["hourly"] == 0.8
    assert row["cost"]["break_even_tokens_per_hour"] == pytest.approx(2_000_000)
    assert "cost" not in run(*ON_L4, "-o", "json").rows[0]
    assert "a million output tokens" in " ".join(run(*ON_L4, "--cost").out.split())


@pytest.mark.parametrize(
    ("name", "gpu"), [("l4", "L4"), ("NVIDIA-GeForce-RTX-4090", "RTX4090"), ("rtx3090", "RTX3090")]
)
def test_a_card_is_named_in_any_case_or_by_its_label(run: Run, name: str, gpu: str) -> None:
    assert [row["gpu"] for row in run(*SMALL, "--gpu", name, "-o", "json").rows] == [gpu]


def test_a_card_by_hand_is_planned_like_the_same_card_of_the_catalogue(run: Run) -> None:
    by_hand = ("--gpu-memory-mib", "24084", "--compute-capability", "8.9")
    (mine,) = run("--model", "Qwen/Qwen3-4B", *by_hand, "-o", "json").rows
    (known,) = run("--model", "Qwen/Qwen3-4B", "--gpu", "RTX4090", "-o", "json").rows
    assert mine.pop("gpu") == "24084 MiB, compute capability 8.9"
    assert known.pop("gpu") == "RTX4090"
    assert mine == known


def test_reserved_memory_shrinks_the_pool(run: Run) -> None:
    (whole,) = run(*ON_L4, "-o", "json").rows
    (less,) = run(*ON_L4, "--reserved-memory-mib", "4096", "-o", "json").rows
    assert less["kv_cache_bytes"] < whole["kv_cache_bytes"]
    assert less["budget"]["reserved_bytes"] == 4096 << 20


def test_a_cpu_runs_the_version_that_has_a_cpu_build(run: Run) -> None:
    (row,) = run(*SMALL, "--gpu", "cpu", "-o", "json").rows
    assert row["vllm_version"] == "0.32.0"
    assert run(*SMALL, "--gpu", "L4", "-o", "json").rows[0]["vllm_version"] == "0.33.0"


def test_kv_cache_bytes_says_exactly_what_they_hold(run: Run) -> None:
    # Measured: 10 GiB hold 72,816 tokens and 8.89 requests of 8,192 of Qwen3-4B.
    pinned = ("--kv-cache-bytes", str(10 << 30))
    (row,) = run(*ON_L4, *pinned, "-o", "json").rows
    assert row["kv_cache_bytes"] == 10 << 30
    assert row["kv_cache_tokens"] == 72_816
    assert row["max_concurrency"] == pytest.approx(8.89, abs=0.005)
    assert run(*ON_L4, "--kv-cache-bytes", "1000000", "-o", "json").code == 2


def test_every_engine_option_reaches_the_flags(run: Run) -> None:
    options = {
        "--max-num-seqs": "7",
        "--max-num-batched-tokens": "1024",
        "--kv-cache-dtype": "fp8",
        "--max-cudagraph-capture-size": "8",
        "--max-loras": "2",
        "--max-lora-rank": "32",
    }
    words = [word for pair in options.items() for word in pair]
    flags = ("--no-prefix-caching", "--language-model-only", "--kv-offloading-gib", "3")
    (row,) = run(*ON_L4, *words, *flags, "-o", "json").rows
    for flag, value in options.items():
        assert row["args"][row["args"].index(flag) + 1] == value
    assert {"--no-enable-prefix-caching", "--language-model-only"} <= set(row["args"])
    assert row["args"][row["args"].index("--kv-offloading-size") + 1] == "3"
    assert "--enforce-eager" in run(*ON_L4, "--enforce-eager", "-o", "json").rows[0]["args"]


def test_the_compile_cache_changes_the_expectation_and_not_the_weights(run: Run) -> None:
    warm, cold = (
        run("--model", "Qwen/Qwen3-8B", "--gpu", "L4", "--compile-cache", each, "-o", "json").rows[
            0
        ]
        for each in ("warm", "cold")
    )
    assert cold["kv_cache_bytes_expected"] <= warm["kv_cache_bytes_expected"]
    assert cold["weights_bytes"] == warm["weights_bytes"]


def test_another_version_is_planned_with_a_warning(run: Run) -> None:
    (row,) = run(*ON_L4, "--vllm-version", "0.31.0", "-o", "json").rows
    assert row["vllm_version"] == "0.31.0"
    assert any("0.31.0 was not measured" in warning for warning in row["warnings"])


def test_the_output_is_the_same_every_time(run: Run) -> None:
    assert run(*ON_L4, "--explain").out == run(*ON_L4, "--explain").out


# Files


def test_a_file_is_planned(run: Run, spec_file: SpecFile) -> None:
    path = spec_file(precision="fp8", contextLength=16384, engine={"maxNumSeqs": 4})
    (row,) = run("-f", path, "-o", "json").rows
    assert (row["gpu"], row["precision"], row["max_model_len"]) == ("L4", "fp8", 16_384)
    assert row["max_num_seqs"] == 4


def test_a_file_and_the_same_options_give_the_same_plan(run: Run, spec_file: SpecFile) -> None:
    path = spec_file(precision="int4", contextLength=16384)
    options = ("--precision", "int4", "--context-length", "16384", "-o", "json")
    of_file, of_options = run("-f", path, "-o", "json").rows, run(*ON_L4, *options).rows
    names = [row.pop("name") for row in (*of_file, *of_options)]
    assert of_file == of_options
    assert len(set(names)) == 2


def stdin_of(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), "utf-8")


def test_stdin_is_read_where_the_file_is_a_dash(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin_of(yaml.safe_dump(deployment()).encode()))
    assert [row["gpu"] for row in run("-f", "-", "-o", "json").rows] == ["L4"]


def test_options_outweigh_the_file(run: Run, spec_file: SpecFile) -> None:
    path = spec_file(
        precision="fp8", contextLength=16384, engine={"maxNumSeqs": 4, "kvCacheDtype": "fp8"}
    )
    (row,) = run(
        *("-f", path, "--model", "Qwen/Qwen3-8B", "--precision", "int4"),
        *("--context-length", "4096", "--max-num-seqs", "2", "--gpu", "A10G", "-o", "json"),
    ).rows
    assert (row["model"], row["precision"], row["gpu"]) == ("Qwen/Qwen3-8B", "int4", "A10G")
    assert (row["max_model_len"], row["max_num_seqs"]) == (4096, 2)
    # What no option names stays as the file has it.
    assert row["args"][row["args"].index("--kv-cache-dtype") + 1] == "fp8"


def test_several_documents_are_planned_in_order_and_others_skipped(
    run: Run, tmp_path: Path
) -> None:
    path = written(
        tmp_path / "all.yaml",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}},
        deployment("one", servedModelName="one"),
        None,
        deployment("two", model="Qwen/Qwen3-8B", servedModelName="two"),
    )
    rows = run("-f", path, "-o", "json").rows
    assert [row["model"] for row in rows] == ["Qwen/Qwen3-4B", "Qwen/Qwen3-8B"]
    table = run("-f", path).out
    assert table.index("Qwen/Qwen3-4B  bf16") < table.index("Qwen/Qwen3-8B  bf16")


@pytest.mark.parametrize("text", ["", "---\n", "kind: Service\n", "[]\n", "# nothing\n"])
def test_a_file_without_a_deployment_is_refused(refuse: Refuse, tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    assert "there is nothing to plan; write kind: QwenDeployment" in refuse("-f", str(path))


# A model's own config.json


def test_a_16_bit_config_is_planned_and_converted_on_request(
    run: Run, config_file: ConfigFile
) -> None:
    path = config_file(DENSE)
    (plain,) = run("--config-json", path, "--gpu", "L4", "-o", "json").rows
    assert plain["precision"] == "bf16"
    assert "--quantization" not in plain["args"]
    (fp8,) = run("--config-json", path, "--gpu", "L4", "--precision", "fp8", "-o", "json").rows
    assert fp8["args"][fp8["args"].index("--quantization") + 1] == "online"
    assert fp8["weights_bytes"] < plain["weights_bytes"]


def test_a_config_equals_the_catalogue_s_model_of_that_shape(
    run: Run, config_file: ConfigFile
) -> None:
    (mine,) = run("--config-json", config_file(DENSE), "--gpu", "L4", "-o", "json").rows
    (known,) = run(*ON_L4, "-o", "json").rows
    for key in ("weights_bytes", "non_kv_bytes", "kv_cache_bytes", "kv_cache_tokens"):
        assert mine[key] == known[key]


def test_a_quantised_config_brings_its_own_precision(run: Run, config_file: ConfigFile) -> None:
    awq = {**DENSE, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    (row,) = run("--config-json", config_file(awq), "--gpu", "L4", "-o", "json").rows
    assert row["precision"] == "int4"
    assert "--quantization" not in row["args"]


@pytest.mark.parametrize("config", [HYBRID, VISION])
def test_hybrids_and_vision_language_models_are_planned_from_a_config(
    run: Run, config_file: ConfigFile, config: dict[str, Any]
) -> None:
    options = ("--config-json", config_file(config), "--model", "me/mine", "--gpu", "L4")
    (row,) = run(*options, "-o", "json").rows
    assert row["model"] == "me/mine"
    assert row["checkpoint"] == str(Path(options[1]).parent)
    assert row["fits"]


# Bad input


def test_nothing_to_plan_is_refused(refuse: Refuse) -> None:
    assert "give -f FILE, --model or --config-json" in refuse()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "Qwen/Qwen3-8"), "Qwen/Qwen3-8B"),
        (("--model", "Qwen/Qwen3-Embedding-8B"), "it is an embedding model"),
        (("--model", "Qwen3-8B"), "an organisation and a name"),
        ((*SMALL, "--tensor-parallel-size", "3"), "use 1 or 2"),
        ((*SMALL, "--tensor-parallel-size", "9"), "spec.tensorParallelSize is 9"),
        (("--model", "Qwen/Qwen3-8B", "--precision", "int8"), "there are no int8 weights"),
        (
            (*SMALL, "--gpu-memory-mib", "15000", "--compute-capability", "7.5"),
            "need 8.0 or newer",
        ),
        ((*SMALL, "--gpu", "CPU", "--precision", "fp8"), "bf16 or fp16"),
        ((*SMALL, "--context-length", "40961"), "takes at most 40960 tokens"),
        ((*SMALL, "--context-length", "2000000"), "spec.contextLength is 2000000"),
        ((*SMALL, "--gpu", "A100"), "the catalogue has only"),
        ((*SMALL, "--gpu", "NVIDIA-L4-SHARED"), "turn time-slicing off"),
        ((*SMALL, "--gpu", "L4", "--gpu", "l4"), "L4 is in it more than once"),
        ((*SMALL, "--gpu", "L4", "--gpu", "CPU"), "CPU only by itself"),
        ((*SMALL, "--gpu-memory-utilization", "0"), "above 0 and up to 1"),
        ((*SMALL, "--gpu-memory-utilization", "1.5"), "above 0 and up to 1"),
        ((*SMALL, "--gpu-memory-utilization", "-0.5"), "above 0 and up to 1"),
        ((*SMALL, "--gpu-memory-utilization", "nan"), "above 0 and up to 1"),
        ((*SMALL, "--vllm-version", "latest"), "write for example 0.33.0"),
        ((*SMALL, "--vllm-version", "0.33.0rc1"), "write for example 0.33.0"),
        ((*SMALL, "--compute-capability", "8.9"), "give --gpu-memory-mib too"),
        ((*SMALL, "--gpu-memory-mib", "24000"), "give --compute-capability too"),
        ((*SMALL, "--gpu-memory-mib", "24000", "--compute-capability", "89"), "8.9"),
        ((*SMALL, "--kv-cache-dtype", "float16"), "must be bfloat16"),
        ((*SMALL, "--max-num-seqs", "64", "--max-num-batched-tokens", "32"), "may not exceed"),
        ((*SMALL, "--enforce-eager", "--max-cudagraph-capture-size", "8"), "captures no CUDA"),
        (("-f", "/nonexistent/spec.yaml"), "no such file"),
        (("-f", "/"), "directory"),
        (("--config-json", "/nonexistent/config.json"), "no such file"),
    ],
)
def test_bad_input_is_one_sentence_with_a_way_out(
    refuse: Refuse, options: tuple[str, ...], words: str
) -> None:
    assert words in refuse(*options)


AT_LEAST_ONE = [
    "--context-length",
    "--tensor-parallel-size",
    "--max-num-seqs",
    "--max-num-batched-tokens",
    "--kv-cache-bytes",
    "--max-cudagraph-capture-size",
]


@pytest.mark.parametrize("value", ["0", "-1", "-2147483649"])
@pytest.mark.parametrize("option", AT_LEAST_ONE)
def test_a_number_below_one_is_refused(refuse: Refuse, option: str, value: str) -> None:
    assert value in refuse(*SMALL, option, value)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_memory_below_one_is_refused(refuse: Refuse, value: str) -> None:
    by_hand = ("--gpu-memory-mib", value, "--compute-capability", "8.9")
    assert "--gpu-memory-mib" in refuse(*SMALL, *by_hand)


@pytest.mark.parametrize("option", ["--max-loras", "--max-lora-rank"])
def test_negative_adapters_are_refused(refuse: Refuse, option: str) -> None:
    assert option in refuse(*SMALL, option, "-1")


@pytest.mark.parametrize("option", ["--max-loras", "--max-lora-rank"])
def test_no_adapters_are_refused(refuse: Refuse, option: str) -> None:
    assert option in refuse(*SMALL, option, "0")


def test_a_rank_that_vllm_does_not_know_is_refused(refuse: Refuse) -> None:
    assert "--max-lora-rank" in refuse(*SMALL, "--max-loras", "1", "--max-lora-rank", "7")


@pytest.mark.parametrize("option", ["--gpu-price", "--electricity-price", "--api-price"])
def test_a_negative_price_is_refused(refuse: Refuse, option: str) -> None:
    assert f"{option} is -0.1, but a price is not negative" in refuse(*SMALL, option, "-0.1")


@pytest.mark.parametrize("option", ["--gpu-price", "--electricity-price", "--api-price"])
def test_a_price_may_be_nothing(run: Run, option: str) -> None:
    assert run(*ON_L4, option, "0", "-o", "json").code == 0


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_price_that_is_no_number_is_refused(refuse: Refuse, value: str) -> None:
    assert "--gpu-price" in refuse(*SMALL, "--gpu-price", value)


def test_negative_reserved_memory_of_a_named_card_is_refused(refuse: Refuse) -> None:
    assert "--reserved-memory-mib is -5" in refuse(*ON_L4, "--reserved-memory-mib", "-5")


@pytest.mark.parametrize("card", [(), ("--gpu-memory-mib", "24000", "--compute-capability", "8.9")])
def test_negative_reserved_memory_is_refused_on_any_card(
    refuse: Refuse, card: tuple[str, ...]
) -> None:
    refuse(*SMALL, *card, "--reserved-memory-mib", "-5")


def test_the_memory_of_a_cpu_can_be_said(run: Run) -> None:
    (row,) = run(*SMALL, "--gpu", "CPU", "--gpu-memory-mib", "64000", "-o", "json").rows
    assert row["budget"]["card_bytes"] == 64_000 << 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nonsense",), "unrecognized arguments: --nonsense"),
        ((*SMALL, "--precision", "int3"), "'int3' is none of bf16"),
        ((*SMALL, "--profile", "Fast"), "'Fast' is none of Interactive"),
        ((*SMALL, "--kv-cache-dtype", "int2"), "'int2' is none of auto"),
        ((*SMALL, "--compile-cache", "lukewarm"), "'lukewarm' is none of warm"),
        ((*SMALL, "--context-length", "long"), "invalid int value: 'long'"),
        ((*SMALL, "--context-length", "1.5"), "invalid int value: '1.5'"),
        ((*SMALL, "--gpu-memory-utilization", "most"), "invalid float value: 'most'"),
        ((*SMALL, "-o", "xml"), "invalid choice: 'xml'"),
        ((*SMALL, "--model"), "expected one argument"),
    ],
)
def test_wrong_usage_ends_with_1_and_names_the_help(
    refuse: Refuse, options: tuple[str, ...], words: str
) -> None:
    message = refuse(*options)
    assert words in message
    assert message.endswith("--help\n")


@pytest.mark.parametrize("arguments", [[], ["plane"], ["--nonsense"]])
def test_wrong_commands_end_with_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plan", "--help"]])
def test_help_and_version_end_with_0(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert "kubectl-qwen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contextLenght": 8192}, "contextLength"),
        ({"precision": "int3"}, "spec.precision is 'int3'"),
        ({"contextLength": "8192"}, "must be a whole number"),
        ({"model": "Qwen/Nothing-9000B"}, "the catalogue does not have it"),
        ({"accelerators": [{"name": "A100"}]}, "the catalogue has only"),
        ({"accelerators": [{"name": "l4"}]}, "use that spelling"),
        ({"engine": {"maxNumSeq": 3}}, "maxNumSeqs"),
        ({"engine": {"extraArgs": ["--max-model-len", "1"]}}, "spec.contextLength instead"),
    ],
)
def test_a_bad_spec_is_refused_by_field(
    refuse: Refuse, spec_file: SpecFile, change: dict[str, Any], words: str
) -> None:
    assert words in refuse("-f", spec_file(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "QwenDeploymnt"}, "write kind: QwenDeployment"),
        ({"kind": None}, "write kind: QwenDeployment"),
        ({"apiVersion": "qwen-operator.io/v2"}, "only qwen-operator.io/v1alpha1 is understood"),
        ({"spec": None}, "spec is missing"),
        ({"spec": [1]}, "spec"),
        ({"spec": {"precision": "bf16"}}, "spec.model is missing"),
        ({"metadata": {"name": "Not A Name"}}, "metadata.name"),
    ],
)
def test_a_bad_document_is_refused(
    refuse: Refuse, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = written(tmp_path / "spec.yaml", {**deployment(), **change})
    assert words in refuse("-f", path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\nb: ]\n", "line 2"),
        (b"a: 1\nb: {\n", "is not YAML"),
        (b"a: !!python/object:os.system x", "is not YAML"),
        (b"\xff\xfe\xff", "it is not text"),
        (b"just words", "it must be a mapping"),
        (b"- 1\n- 2\n", "it must be a mapping"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused(
    refuse: Refuse, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    assert words in refuse("-f", str(path))


def test_a_control_character_in_a_file_is_refused_in_one_line(
    refuse: Refuse, tmp_path: Path
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"a: \x01")
    refuse("-f", str(path))


@pytest.mark.parametrize(
    "document",
    [
        deployment(engine=[1]),
        deployment(engine="fast"),
        {**deployment(), "kind": ["QwenDeployment"]},
    ],
)
def test_a_document_of_the_wrong_shape_is_refused(
    refuse: Refuse, tmp_path: Path, document: dict[str, Any]
) -> None:
    refuse("-f", written(tmp_path / "spec.yaml", document))


def test_stdin_that_is_no_text_is_refused(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin_of(b"\xff\xfe\xff"))
    refuse("-f", "-")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**DENSE, "model_type": "llama"}, "only Qwen architectures are planned"),
        ({}, "model_type is None"),
        ([DENSE], "it holds no object"),
        ("qwen3", "it holds no object"),
        (without(DENSE, "hidden_size"), "hidden_size is None"),
        ({**DENSE, "num_hidden_layers": -36}, "num_hidden_layers is -36"),
        ({**DENSE, "vocab_size": True}, "vocab_size is True"),
        ({**DENSE, "quantization_config": {"quant_method": "bitsandbytes"}}, "planned are awq"),
    ],
)
def test_a_config_that_is_not_qwen_s_is_refused(
    refuse: Refuse, config_file: ConfigFile, config: object, words: str
) -> None:
    assert words in refuse("--config-json", config_file(config))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{'a': 1}", b"model_type: qwen3", b"\xef\xbb\xbf{}"]
)
def test_a_config_that_is_no_json_is_refused(
    refuse: Refuse, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert "is not JSON" in refuse("--config-json", str(path))


@pytest.mark.parametrize("spec", [{"precision": "bf16"}, [1]])
def test_a_file_without_a_model_is_refused_beside_a_config_too(
    refuse: Refuse, config_file: ConfigFile, tmp_path: Path, spec: object
) -> None:
    path = written(tmp_path / "spec.yaml", {**deployment(), "spec": spec})
    refuse("-f", path, "--config-json", config_file(DENSE))


def test_the_name_of_a_quantised_checkpoint_plans_that_checkpoint(run: Run) -> None:
    answer = run("--model", "Qwen/Qwen3-8B-AWQ", "--gpu", "L4", "-o", "json")
    assert answer.code == 1 or answer.rows[0]["checkpoint"] == "Qwen/Qwen3-8B-AWQ"


def test_the_memory_of_a_card_in_the_catalogue_can_be_said(run: Run, spec_file: SpecFile) -> None:
    path = spec_file(accelerators=[{"name": "NVIDIA-GeForce-RTX-3090", "memoryMib": 12_000}])
    (row,) = run("-f", path, "-o", "json").rows
    assert row["budget"]["card_bytes"] == 12_000 << 20


# The contract


def test_the_output_for_a_fixed_request_is_the_golden_one(run: Run) -> None:
    """``UPDATE_GOLDEN=1 uv run pytest tests/cli -k golden`` writes it anew."""
    answer = run(*shlex.split(GOLDEN_REQUEST)[1:])
    assert answer.code == 0
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(answer.out)
    assert answer.out == GOLDEN.read_text(), "meant so? UPDATE_GOLDEN=1 writes it anew"
