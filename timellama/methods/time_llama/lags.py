"""How many lags are named by Time-LLM's prompt and by Time-LlaMA's prompt of statistics."""

LAGS = 5  # KimMeen/Time-LLM, models/TimeLLM.py, top_k: the strongest
