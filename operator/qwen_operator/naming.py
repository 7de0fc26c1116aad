"""Every name the product shows to Kubernetes: group, kind, labels, field managers."""

from typing import Final

GROUP: Final = "qwen-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

KIND: Final = "QwenDeployment"
LIST_KIND: Final = "QwenDeploymentList"
PLURAL: Final = "qwendeployments"
SINGULAR: Final = "qwendeployment"
SHORT_NAME: Final = "qd"
CATEGORY: Final = "qwen"

# A Service name is a DNS-1035 label of at most 63 characters; the rest is room for the suffixes
# of the children, the longest of which is "-" and a ten-character hash.
MAX_NAME_LENGTH: Final = 52

FIELD_MANAGER: Final = "qwen-operator"
STATUS_FIELD_MANAGER: Final = "qwen-operator-status"

OWN_PREFIX: Final = f"{GROUP}/"
RECOMMENDED_PREFIX: Final = "app.kubernetes.io/"
RESERVED_LABEL_PREFIXES: Final = (RECOMMENDED_PREFIX, OWN_PREFIX)

# --- Labels and annotations ---------------------------------------------------------------------

NAME_LABEL: Final = f"{RECOMMENDED_PREFIX}name"
INSTANCE_LABEL: Final = f"{RECOMMENDED_PREFIX}instance"
COMPONENT_LABEL: Final = f"{RECOMMENDED_PREFIX}component"
PART_OF_LABEL: Final = f"{RECOMMENDED_PREFIX}part-of"
MANAGED_BY_LABEL: Final = f"{RECOMMENDED_PREFIX}managed-by"
VERSION_LABEL: Final = f"{RECOMMENDED_PREFIX}version"

PRODUCT: Final = "qwen-operator"
MODEL_APP: Final = "qwen"
MODEL_COMPONENT: Final = "model"

# On a namespace: its pods may send requests, or read metrics, although they live elsewhere.
CLIENT_LABEL: Final = f"{OWN_PREFIX}client"
SCRAPER_LABEL: Final = f"{OWN_PREFIX}scraper"

# On the Deployment: what was asked for when its pod template was made, and the hash of the latter.
ASKED_ANNOTATION: Final = f"{OWN_PREFIX}asked"
TEMPLATE_ANNOTATION: Final = f"{OWN_PREFIX}template"

GPU_RESOURCE: Final = "nvidia.com/gpu"
GPU_PRODUCT_LABEL: Final = "nvidia.com/gpu.product"
GPU_SHARING_LABEL: Final = "nvidia.com/gpu.sharing-strategy"

# --- The model pod: what operator and launcher agree on -----------------------------------------

MODEL_CONTAINER: Final = "vllm"
LAUNCHER_CONTAINER: Final = "launcher"

HTTP_PORT_NAME: Final = "http"
HTTP_PORT: Final = 8000
LAUNCHER_PORT_NAME: Final = "launcher"
LAUNCHER_PORT: Final = 8001
SERVICE_PORT: Final = 80

STARTUP_PATH: Final = "/startupz"
READINESS_PATH: Final = "/readyz"
LIVENESS_PATH: Final = "/livez"

# The launcher drains within this time; the kubelet kills what is left.
TERMINATION_GRACE_SECONDS: Final = 300

LAUNCHER_FOLDER: Final = "/opt/qwen"
LAUNCHER_PATH: Final = f"{LAUNCHER_FOLDER}/launcher.pyz"
# Argument of the entry point of our own image: copy the launcher to the path that follows.
INSTALL_LAUNCHER: Final = "install-launcher"

PLAN_FOLDER: Final = "/etc/qwen/plan"
PLAN_FORMAT: Final = 1
PLAN_INDEX_KEY: Final = "index.json"

CACHE_FOLDER: Final = "/var/cache/qwen"
SOURCE_FOLDER: Final = "/var/lib/qwen/source"


def plan_name(owner: str, content_hash: str) -> str:
    """Name of the immutable ConfigMap with the plan rows of ``owner``."""
    return f"{owner}-plan-{content_hash}"


def plan_row_key(card_name: str) -> str:
    """Key of a card's row in that ConfigMap; the prefix keeps it apart from the index."""
    return f"card-{card_name}.json"


def cache_claim_name(owner: str) -> str:
    """Name of the volume claim that is made for ``owner``."""
    return f"{owner}-cache"
