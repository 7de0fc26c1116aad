"""The Qwen operator: QwenDeployment objects become vLLM pods with exact memory flags."""

__version__ = "0.1.0"
