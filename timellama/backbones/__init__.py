"""Language models: their catalogue and their preparation."""
