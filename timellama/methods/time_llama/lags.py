"""How many lags a prompt names, Time-LLM's and Time-LlaMA's of statistics."""

LAGS = 5  # KimMeen/Time-LLM, models/TimeLLM.py, top_k: the strongest
