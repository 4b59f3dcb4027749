"""The names of a prepared backbone's files; `catalogue.py` says what is in them."""

CONFIG, BLOCKS, EMBEDDINGS, TOKENIZER, RECORD = (
    "config.json",
    "blocks.safetensors",
    "embeddings.safetensors",
    "tokenizer.json",
    "backbone.json",
)
