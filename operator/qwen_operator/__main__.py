"""``python -m qwen_operator`` runs the operator."""

import sys

from qwen_operator.controller.run import main

sys.exit(main())
