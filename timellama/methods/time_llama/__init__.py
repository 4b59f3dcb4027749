"""Time-LlaMA (arXiv 2502.13725, section 3), one module a part of the model."""
