"""The reports of the project. To add a table or a figure, add an entry here; nothing else lists them.

The page sorts titles alphabetically: the paper's tables and figures by number, then our own as E1, E2.
"""

from timellama.core import layout
from timellama.reports.claims.rules import PARTS
from timellama.reports.report import EVERY, Needs, Report

PUBLISHED = "config/published"
TABLES = "timellama.reports.tables"
FIGURES = "timellama.reports.figures"
SELECTION = "timellama.reports.selection"
CLAIMED = (*PARTS, "efficiency")  # experiments that bear on the paper's claims
BESIDE_PAPER = ("long_term", "few_shot", "ablation")
PUBLISHED_CLAIMS = tuple(sorted({f"{PUBLISHED}/{part.published}" for part in PARTS.values()}))

OF_METHODS = (
    "Below our number are the paper's and the gap in per cent, above 0 where ours is worse. A gap smaller than the "
    "spread between seeds, printed small, means nothing."
)
OF_OURS = "A difference smaller than the spread between seeds, printed small, means nothing."
OF_VARIANTS = (
    "A difference from the full model without a star may be chance; stars are corrected over all cells together."
)


def _methods(experiment: str, *, title: str, caption: str, published: str = "") -> Report:
    """The table of an experiment that compares methods side by side, with the paper's numbers where there are any."""
    return Report(
        name=f"table_{experiment}",
        title=title,
        caption=f"{caption} {OF_METHODS if published else OF_OURS}",
        needs=Needs(experiments=(experiment,), published=(f"{PUBLISHED}/{published}",) if published else ()),
        build=f"{TABLES}.experiment:methods",
    )


def _variants(experiment: str, *, title: str, lead: str, caption: str, published: str = "") -> Report:
    """The table of an experiment that compares variants of Time-LlaMA with the full model, seed by seed."""
    return Report(
        name=f"table_{experiment}",
        title=title,
        lead=lead,
        caption=f"{caption} {OF_VARIANTS}",
        needs=Needs(experiments=(experiment,), published=(f"{PUBLISHED}/{published}",) if published else ()),
        build=f"{TABLES}.experiment:variants",
    )


def _figure(name: str, *, title: str, caption: str, needs: Needs) -> Report:
    """A figure drawn from files of runs."""
    return Report(name=name, title=title, caption=caption, needs=needs, build=f"{FIGURES}.runs:figure")


def _sweeps(name: str, *, title: str, caption: str) -> Report:
    """A figure over the number of variates."""
    build = f"{FIGURES}.time_and_memory:figure"
    return Report(name=name, title=title, caption=caption, needs=Needs(experiments=("efficiency",)), build=build)


OWN = (
    Report(
        name="table_claims",
        title="Claims. Verdicts",
        caption="Each statement of the paper that a run can test, with the measured effect, its 95 % interval and the "
        "number of pairs of runs behind it. docs/claims.md has the rules, and says what was known when they were "
        "written.",
        needs=Needs(experiments=CLAIMED, optional=True, published=PUBLISHED_CLAIMS, of_paper=True),
        build=f"{TABLES}.claims:table",
    ),
    Report(
        name="table_long_term",
        title="Table 1. Long-term forecasting",
        caption="The paper's table 1. Each line is a data set and a horizon H, each pair of columns a method; T is the "
        "look-back. The last columns are controls, which a trained model has to beat.",
        needs=Needs(experiments=("long_term",), published=(f"{PUBLISHED}/table1_long_term.csv",)),
        build=f"{TABLES}.main:table",
    ),
    Report(
        name="table_reproduction",
        title="Table 1. Long-term forecasting beside the paper",
        caption="Each line is a data set and a horizon H, each three columns a method: ours, the paper's number and "
        "the gap in per cent, above 0 where ours is worse. A gap smaller than the spread between seeds, printed small, "
        "means nothing. Methods without a number in the paper are in the other table 1.",
        needs=Needs(
            experiments=("long_term",),
            published=(f"{PUBLISHED}/table1_long_term.csv", f"{PUBLISHED}/settings.csv"),
            of_paper=True,
        ),
        build=f"{TABLES}.reproduction:table",
    ),
    _methods(
        "short_term",
        title="Table 2. Short-term forecasting",
        caption="The paper's table 2: M4, where an OWA below 1 beats Naive2, the competition's yardstick.",
        published="table2_short_term_m4.csv",
    ),
    _methods(
        "few_shot",
        title="Table 3. Few-shot forecasting",
        caption="The paper's table 3: as table 1, but trained on the first few per cent of the training rows.",
        published="table3_few_shot_5pct.csv",
    ),
    _methods(
        "backbones",
        title="Table 4. Language models",
        caption="The paper's table 4: the same method on several language models.",
        published="table4_backbones.csv",
    ),
    _methods(
        "backbones_few_shot",
        title="Table 4. Language models, few-shot",
        caption="The paper's table 4: the same method on several language models, trained on few rows.",
        published="table4_backbones.csv",
    ),
    _variants(
        "ablation",
        title="Table 5. Ablation",
        lead="Ablation: what each part of Time-LlaMA is worth.",
        caption="The paper's table 5: Time-LlaMA with one part removed or replaced at a time. 1 has no alignment "
        "with the prompt, 2 puts the prompt before the series, 3 trains no LoRA, 4 has all LoRA modules on, 5 is "
        "AdaLoRA and 6 a mixture of LoRA experts.",
        published="table5_ablation_few_shot.csv",
    ),
    Report(
        name="table_datasets",
        title="Table 6. Data sets",
        caption="The paper's table 6. *ours* is what the checked files hold; where the paper's line differs, the paper "
        "counts differently or is wrong. The counts are of windows of 96 rows, not of the trainings' look-back.",
        needs=Needs(published=(f"{PUBLISHED}/table6_datasets.csv",), datasets=True),
        build=f"{TABLES}.datasets:table",
    ),
    _variants(
        "active_loras",
        title="Table E1. Active LoRA modules",
        lead="Active LoRA modules: n of the modules of a block are on.",
        caption="The paper's figure 2 in numbers: n is how many LoRA modules of a block are on.",
    ),
    _variants(
        "router",
        title="Table E2. Router",
        lead="Router: pooling, the gradient of the gate, and the order of the columns.",
        caption="How the router pools the variates, whether the forecast loss reaches it through the gate, and whether "
        "the order of the columns matters.",
    ),
    _variants(
        "attention",
        title="Table E3. Attention between variates",
        lead="Attention between variate tokens, and their positions.",
        caption="Whether the variates, which have no order, do better when each sees all others or only those before "
        "it.",
    ),
    _variants(
        "prompts",
        title="Table E4. Prompts",
        lead="Prompts: what the text before the series is worth.",
        caption="The same model with no prompt, the description of the data set, or each window's statistics before "
        "the series.",
    ),
    _variants(
        "depth",
        title="Table E5. Depth",
        lead="Depth: how many blocks of the language model are used.",
        caption="The same model on the first few blocks of the language model, from none or one upwards.",
    ),
    _variants(
        "tokens",
        title="Table E10. Tokens that enter the blocks",
        lead="Tokens that enter the blocks: the depth of TSEmb, and their size.",
        caption="The same model with a token embedding of one layer, and with tokens that are scaled before they "
        "enter the blocks.",
    ),
    _variants(
        "llm_value",
        title="Table E6. Worth of the language model",
        lead="What the language model is worth: pretrained, random, one attention layer, nothing.",
        caption="The pretrained language model against one with random weights, a single attention layer, and nothing "
        "in its place.",
    ),
    _methods(
        "schedules",
        title="Table E12. Published schedules",
        caption="Each method with the training budget of this configuration, and on the schedule that its authors "
        "published.",
    ),
    Report(
        name="table_search",
        title="Table E9. Searched settings",
        caption="Each trained method with its published settings, and with settings from a search of equal effort. "
        "The search never sees a test error.",
        needs=Needs(experiments=("search",)),
        build=f"{TABLES}.search:table",
    ),
    Report(
        name="table_efficiency",
        title="Table E7. Time and memory",
        caption="How long one forecast and one training step take, and how much memory, for N variates. The column "
        "with the times sign is speed as a multiple of Time-LlaMA's; it can be compared to the paper's even "
        "on another machine, the other columns cannot.",
        needs=Needs(experiments=("efficiency",), published=(f"{PUBLISHED}/efficiency_traffic.csv",)),
        build=f"{TABLES}.time_and_memory:table",
    ),
    Report(
        name="table_failures",
        title="Table E8. Runs without a result",
        caption="What has no result, why, and the command that runs it alone. *none failed* is what you want to see "
        "here; otherwise the tables have dashes where these runs belong.",
        needs=Needs(experiments=(EVERY,), failures=True),
        build=f"{TABLES}.failures:table",
    ),
    Report(
        name="table_ranking",
        title="Table E13. Ranking",
        caption="Every method that has a result on every data set of table 1, by its mean rank, its share of wins and "
        "its skill over the seasonal naive. With five data sets or more these have intervals, and pairs are tested.",
        needs=Needs(experiments=("long_term",)),
        build=f"{TABLES}.ranking:table",
    ),
    Report(
        name="table_intervals",
        title="Table E11. Prediction intervals",
        caption="How often intervals of 50, 80 and 90 % around each forecast covered the truth in the test part, how "
        "wide they are, and their losses. The best intervals reach their level and are narrow; the CRPS combines "
        "both. docs/intervals.md says how they are made.",
        needs=Needs(
            experiments=("long_term",), runs=f"{SELECTION}:with_intervals", file=layout.INTERVALS, intervals=True
        ),
        build=f"{TABLES}.intervals:table",
    ),
    _figure(
        "active_loras",
        title="Figure 2. Active LoRA modules",
        caption="The paper's figure 2: the test error against the number of LoRA modules of a block that are on. The "
        "dashed line is the paper's. Differences smaller than the whiskers mean nothing.",
        needs=Needs(
            experiments=("active_loras",),
            runs=f"{SELECTION}:active_loras",
            published=(f"{PUBLISHED}/figure2_active_loras.csv",),
        ),
    ),
    _figure(
        "depth",
        title="Figure E4. Depth",
        caption="The test error against the number of blocks of the language model that are used. Differences smaller "
        "than the whiskers mean nothing.",
        needs=Needs(experiments=("depth",), runs=f"{SELECTION}:depth"),
    ),
    _figure(
        "prompts",
        title="Figure E3. Prompts",
        caption="The test error with each prompt: a dot per seed, a bar at the mean. Lower is better; prompts whose "
        "dots overlap do not differ.",
        needs=Needs(experiments=("prompts",), runs=f"{SELECTION}:prompts"),
    ),
    _figure(
        "lora_distribution",
        title="Figure 3. Where LoRA modules are on",
        caption="The paper's figure 3: above, each module's share of all selections; below, how often it is on. With n "
        'modules on, no share can be above 1/n, so "no module above 25 %" holds for n = 4 whatever the router learns.',
        needs=Needs(
            experiments=("active_loras",),
            runs=f"{SELECTION}:full_models",
            published=(f"{PUBLISHED}/figure3_lora_distribution.csv",),
        ),
    ),
    _sweeps(
        "latency",
        title="Figure E5. Time over variates",
        caption="Time of one forecast by number of variates, both axes logarithmic. A steeper line grows faster; a "
        "line that ends early ran out of memory or time.",
    ),
    _sweeps(
        "memory_scaling",
        title="Figure E6. Memory over variates",
        caption="The peak memory of one forecast by number of variates, both axes logarithmic. A line that ends "
        "early ran out of memory or time.",
    ),
    _figure(
        "router_heatmap",
        title="Figure E1. Router by data set",
        caption="How often each block (a row) switches on each module (a column), in per cent of the test windows. "
        "A row of only 0 and 100 means that the router always makes the same choice and has collapsed.",
        needs=Needs(experiments=("long_term",), runs=f"{SELECTION}:routers"),
    ),
    _figure(
        "router_training",
        title="Figure E2. Router during training",
        caption="How often each module is on while one model trains, a panel per block. Lines that stay apart and "
        "flat mean that the choice was made early and never changed. The last panel shows the entropy of the router, 0 "
        "where it is certain.",
        needs=Needs(experiments=("long_term",), runs=f"{SELECTION}:first_router", file=layout.ROUTER),
    ),
    _figure(
        "learning_curves",
        title="Figure E7. Learning curves",
        caption="Loss on training and validation rows, and the learning rate, over the steps of training. A marker "
        "shows the lowest validation loss, whose weights are tested. A training curve that falls while validation "
        "rises is overfitting.",
        needs=Needs(experiments=("long_term",), runs=f"{SELECTION}:trained", file=layout.HISTORY),
    ),
    _figure(
        "forecasts_{dataset}",
        title="Figure E8. Forecasts, {dataset}",
        caption="One test window per row, one variate per column. Grey is what the models saw, black what happened "
        "next. The windows are spread evenly over the test part; none was chosen for how it looks.",
        needs=Needs(experiments=("long_term",), runs=f"{SELECTION}:first_seeds", file=layout.FORECASTS),
    ),
    Report(
        name="critical_difference",
        title="Figure E9. Mean ranks",
        caption="The methods of table 1 by mean rank, the best at the left. A bar joins methods of which no two "
        "differ significantly. With fewer than five data sets there is no test and no bar.",
        needs=Needs(experiments=("long_term",)),
        build=f"{FIGURES}.critical_difference:figure",
    ),
    Report(
        name="llm_worth",
        title="Figure E10. Worth of the language model",
        caption="The test error with the language model, without it, and with something else in its place, for each "
        "data set and horizon where both ran. A thin line is a seed: methods whose lines overlap do not differ.",
        needs=Needs(experiments=("long_term", "few_shot", "llm_value"), runs=f"{SELECTION}:llm_worth"),
        build=f"{FIGURES}.llm_worth:figure",
    ),
    Report(
        name="paper_vs_ours",
        title="Claims. Our numbers and those of the paper",
        caption="How far our MSE is from the number that the paper prints, for each data set, horizon and method. Left "
        "of 0 ours is lower. The paper's language model may be larger than ours: the remark names both.",
        needs=Needs(experiments=BESIDE_PAPER, published=PUBLISHED_CLAIMS, of_paper=True),
        build=f"{FIGURES}.paper:figure",
    ),
)
