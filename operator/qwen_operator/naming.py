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
