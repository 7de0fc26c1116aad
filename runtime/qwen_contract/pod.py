"""Places in a model pod: containers, ports, paths and the environment that its programs read."""

from typing import Final

MODEL_CONTAINER: Final = "vllm"
LAUNCHER_CONTAINER: Final = "launcher"
WEIGHTS_CONTAINER: Final = "weights"

HTTP_PORT_NAME: Final = "http"
HTTP_PORT: Final = 8000
LAUNCHER_PORT_NAME: Final = "launcher"
LAUNCHER_PORT: Final = 8001
"""Of the fetcher while it runs, of the launcher afterwards."""
SERVICE_PORT: Final = 80

STARTUP_PATH: Final = "/startupz"
READINESS_PATH: Final = "/readyz"
LIVENESS_PATH: Final = "/livez"
REPORT_PATH: Final = "/report"
METRICS_PATH: Final = "/metrics"

TERMINATION_GRACE_SECONDS: Final = 300
"""The launcher drains within this time; the kubelet kills what is left."""
TERMINATION_LOG: Final = "/dev/termination-log"

LAUNCHER_FOLDER: Final = "/opt/qwen"
LAUNCHER_PATH: Final = f"{LAUNCHER_FOLDER}/launcher.pyz"
FETCHED_PATH: Final = f"{LAUNCHER_FOLDER}/model.json"
"""Where the weights lie, as the fetcher found or put them: see `qwen_contract.fetched`."""

PLAN_FOLDER: Final = "/etc/qwen/plan"
PLAN_INDEX_FILE: Final = "index.json"

CACHE_FOLDER: Final = "/var/cache/qwen"
SOURCE_FOLDER: Final = "/var/lib/qwen/source"
CA_BUNDLE_FOLDER: Final = "/etc/qwen/ca"

# Commands of our own image, each an argument of its entry point.
INSTALL_LAUNCHER: Final = "install-launcher"
FETCH_WEIGHTS: Final = "fetch"
CHECK_WEIGHTS: Final = "check"

# Hubs that weights are fetched from.
HUGGING_FACE: Final = "huggingface"
MODEL_SCOPE: Final = "modelscope"

TOKEN_VARIABLE: Final = "HF_TOKEN"  # noqa: S105 the name of a variable
CA_BUNDLE_VARIABLE: Final = "SSL_CERT_FILE"


def plan_row_file(card_name: str) -> str:
    """File of a card's row in the plan folder; the prefix keeps it apart from the index."""
    return f"card-{card_name}.json"
