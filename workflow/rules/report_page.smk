"""What the page of the reports (`--report`) says of each: its title, which is also its place, and its labels."""

# The page sorts titles by their letters: the paper's tables and figures by their numbers, then our own as E1, E2.
# Each report stands alone below its title, since the page makes a switch of a label that halves the reports beside it.
TITLES = {
    "table_claims": "Claims. Verdicts",
    "paper_vs_ours": "Claims. Our numbers and those of the paper",
    "table_long_term": "Table 1. Long-term forecasting",
    "table_short_term": "Table 2. Short-term forecasting",
    "table_few_shot": "Table 3. Few-shot forecasting",
    "table_backbones": "Table 4. Language models",
    "table_backbones_few_shot": "Table 4. Language models, few-shot",
    "table_ablation": "Table 5. Ablation",
    "table_datasets": "Table 6. Data sets",
    "table_active_loras": "Table E1. Active LoRA modules",
    "table_router": "Table E2. Router",
    "table_attention": "Table E3. Attention between variates",
    "table_prompts": "Table E4. Prompts",
    "table_depth": "Table E5. Depth",
    "table_llm_value": "Table E6. Worth of the language model",
    "table_efficiency": "Table E7. Time and memory",
    "table_failures": "Table E8. Runs without a result",
    "active_loras": "Figure 2. Active LoRA modules",
    "lora_distribution": "Figure 3. Where LoRA modules are on",
    "router_heatmap": "Figure E1. Router by data set",
    "router_training": "Figure E2. Router during training",
    "prompts": "Figure E3. Prompts",
    "depth": "Figure E4. Depth",
    "latency": "Figure E5. Time over variates",
    "memory_scaling": "Figure E6. Memory over variates",
    "learning_curves": "Figure E7. Learning curves",
    "forecasts": "Figure E8. Forecasts, {dataset}",
}
NAMED = 3  # our choice: methods that a label names; of more it says how many


def on_page(pattern):
    """Where a report stands on the page, as arguments of `report`; `pattern` is its name, with wildcards."""
    return {
        "category": "Tables" if pattern.startswith("table_") else "Figures",
        "subcategory": lambda wildcards: title_of(pattern.format(**wildcards)),
        "labels": lambda wildcards: labels_of(pattern.format(**wildcards)),
    }


def title_of(stem):
    """The title of a report, from its file's name."""
    name = "forecasts" if stem.startswith("forecasts_") else stem
    return TITLES[name].format(dataset=stem.removeprefix("forecasts_"))


def labels_of(stem):
    """The configuration, and the data sets, horizons, methods and seeds that a report shows."""
    runs = runs_of_report(stem)
    methods = list(dict.fromkeys(PLAN.methods[run.variant].label for run in runs))
    labels = {
        "configuration": config["name"],
        "data set": ", ".join(dict.fromkeys(run.dataset for run in runs)),
        "horizon": ", ".join(str(horizon) for horizon in sorted({run.horizon for run in runs})),
        "method": ", ".join(methods) if len(methods) <= NAMED else f"{len(methods)} methods",
        "seed": ", ".join(str(seed) for seed in sorted({run.seed for run in runs})),
    }
    return {name: text for name, text in labels.items() if text}


def runs_of_report(stem):
    """The runs behind a report, with a result or without."""
    if stem in OF_SEVERAL:
        return list(dict.fromkeys(run for name in OF_SEVERAL[stem] for run in PLAN.runs.get(name, [])))
    experiment = stem.removeprefix("table_")
    if stem != experiment:
        return PLAN.runs.get(experiment, [])
    if stem in EFFICIENCY_FIGURES:
        return []
    return report_plan.runs_of_figure(PLAN, stem)
