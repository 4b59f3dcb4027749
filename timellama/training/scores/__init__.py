"""How good forecasts are: forecasts of many windows, metrics, and the scores of a whole test part."""
