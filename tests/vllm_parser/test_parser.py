"""Real vLLM parsers, both pinned versions: what they take and what they refuse.

The first run on a machine builds the environments (some 500 MB of downloads, nothing kept but
their Python files); later runs take about five seconds a version. One process per version
answers all lists of this file.
"""

import json

import pytest

from benchmarks.planner.vllm_parser.check import (
    CheckError,
    ParseResult,
    parse_all,
    read_lists,
)
from benchmarks.planner.vllm_parser.install import VERSIONS, InstallError, environment_path

YARN = {
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 1000000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 32768,
    }
}
QUANTIZATION = {"linear": "fp8_per_tensor", "ignore": ["re:.*self_attn.*"]}

ACCEPTED: dict[str, list[str]] = {
    "nothing": [],
    "max-model-len": ["--max-model-len", "8192"],
    "max-num-seqs": ["--max-num-seqs", "64"],
    "max-num-batched-tokens": ["--max-num-batched-tokens", "2048"],
    "kv-cache-memory-bytes": ["--kv-cache-memory-bytes", "10737418240"],
    "kv-cache-dtype": ["--kv-cache-dtype", "fp8"],
    "tensor-parallel-size": ["--tensor-parallel-size", "2"],
    "disable-custom-all-reduce": ["--disable-custom-all-reduce"],
    "quantization": ["--quantization", "online"],
    "quantization-config": [
        "--quantization", "online", "--quantization-config", json.dumps(QUANTIZATION),
    ],
    "hf-overrides": ["--hf-overrides", json.dumps(YARN)],
    "max-cudagraph-capture-size": ["--max-cudagraph-capture-size", "32"],
    "enable-prefix-caching": ["--enable-prefix-caching"],
    "tool-call-parser": ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"],
    "reasoning-parser": ["--reasoning-parser", "qwen3"],
    "generation-config": ["--generation-config", "vllm"],
    "limit-mm-per-prompt": ["--limit-mm-per-prompt", '{"image":1,"video":0}'],
    "language-model-only": ["--language-model-only"],
    "kv-offloading-size": ["--kv-offloading-size", "16"],
    "shutdown-timeout": ["--shutdown-timeout", "30"],
    "served-model-name": ["--served-model-name", "x"],
    "disable-access-log-for-endpoints": ["--disable-access-log-for-endpoints", "/health,/metrics"],
}  # fmt: skip
ACCEPTED["all together"] = [
    argument
    for name, arguments in ACCEPTED.items()
    if name != "quantization"  # the quantization-config entry has it
    for argument in arguments
]

# Arguments, words that the error must hold, unknown flags.
REFUSED: dict[str, tuple[list[str], str, tuple[str, ...]]] = {
    "unknown flag": (
        ["--max-model-len", "8192", "--kv-cache-bytes", "1"],
        "vllm serve has no flag --kv-cache-bytes",
        ("--kv-cache-bytes",),
    ),
    "two unknown flags": (["--one", "--two=2"], "--one; vllm", ("--one", "--two=2")),
    "abbreviation": (["--max-model", "8192"], "write --max-model-len", ("--max-model",)),
    "abbreviation with a value": (
        ["--max-model=8192"], "write --max-model-len", ("--max-model=8192",),
    ),
    "short abbreviation": (["-as", "2"], "write -asc", ("-as",)),
    "bad number": (["--max-num-seqs", "many"], "--max-num-seqs: invalid int value", ()),
    "missing value": (["--max-model-len"], "expected one argument", ()),
    "bad choice": (["--load-format", "auto", "--dtype", "float7"], "invalid choice", ()),
    "broken JSON": (["--limit-mm-per-prompt", '{"image":'], "--limit-mm-per-prompt", ()),
    "unknown quantization name": (
        ["--quantization", "online", "--quantization-config", '{"linear":"fp9"}'],
        "unknown quantization name 'fp9'",
        (),
    ),
    "unknown field in JSON": (["--compilation-config", '{"nonsense":1}'], "nonsense", ()),
    "tool choice without a parser": (
        ["--enable-auto-tool-choice"], "requires --tool-call-parser", (),
    ),
    "unknown tool parser": (
        ["--enable-auto-tool-choice", "--tool-call-parser", "hermess"], "named 'hermess'", (),
    ),
    "unknown reasoning parser": (["--reasoning-parser", "qwen9"], "named 'qwen9'", ()),
    "JSON of no sense": (["--hf-overrides", "{bad}"], "--hf-overrides: Value {bad}", ()),
    "help": (["--help"], "exit code 0", ()),
}  # fmt: skip


@pytest.fixture(scope="module", params=VERSIONS)
def answers(request: pytest.FixtureRequest) -> dict[str, ParseResult]:
    lists = ACCEPTED | {name: refused[0] for name, refused in REFUSED.items()}
    return dict(zip(lists, parse_all(request.param, list(lists.values())), strict=True))


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(answers: dict[str, ParseResult], name: str) -> None:
    assert answers[name] == ParseResult(accepted=True, error=None, unknown=())


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(answers: dict[str, ParseResult], name: str) -> None:
    _, words, unknown = REFUSED[name]
    answer = answers[name]
    assert not answer.accepted
    assert answer.error is not None
    assert words in answer.error
    assert answer.unknown == unknown


def test_a_version_without_a_lock_is_named() -> None:
    with pytest.raises(InstallError, match=r"no lock for vLLM '0\.1\.0'"):
        environment_path("0.1.0")


@pytest.mark.parametrize(
    ("line", "words"), [("--flag", "line 2 is not JSON"), ("[1]", "not a list of strings")]
)
def test_a_bad_line_is_named(line: str, words: str) -> None:
    with pytest.raises(CheckError, match=words):
        read_lists(["[]", line])
