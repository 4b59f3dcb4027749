"""timellama: a reproducibility benchmark harness for Time-LlaMA (arXiv 2502.13725)."""

__version__ = "0.1.0"
