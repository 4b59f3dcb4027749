"""Language models, prepared: from a hub, a folder or a GGUF file to blocks that run."""
