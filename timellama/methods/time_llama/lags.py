"""How many lags a prompt of statistics names."""

LAGS = 5  # KimMeen/Time-LLM, models/TimeLLM.py, top_k
