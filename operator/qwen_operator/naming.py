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


def plan_name(owner: str, content_hash: str) -> str:
    """Name of the immutable ConfigMap with the plan rows of ``owner``."""
    return f"{owner}-plan-{content_hash}"


def cache_claim_name(owner: str) -> str:
    """Name of the volume claim that is made for ``owner``."""
    return f"{owner}-cache"
