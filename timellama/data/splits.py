"""Which rows are training, validation and test rows, and how many windows they hold.

The rules are those of the paper's section 4.1 and the libraries it follows: months of 30 days for ETT (Informer,
Time-Series-Library), 70/10/20 % for the rest (Autoformer), and GPT4TS's cut of the training rows for few-shot runs
(DAMO-DI-ML/NeurIPS2023-One-Fits-All at ef6332d, Long-term_Forecasting/data_provider/data_loader.py). Standard library
only: planning counts windows before any data are there.
"""

from dataclasses import dataclass

from timellama.core.errors import InputError

DAYS = 30  # of a month, in the rule `months`
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the rows of a data set are divided into training, validation and test rows, in that order.

    rule `months`: the numbers are months of 30 days of `rows_per_day` rows, later rows are unused (ETT, Informer's
    rule). rule `ratio`: the numbers are shares; training and test rows are rounded down, validation takes the rest
    (Autoformer's). rule `published`: the data set comes with its own test part (M4); the numbers are not used.
    """

    rule: str
    train: float
    validation: float
    test: float
    rows_per_day: int | None = None


def part_rows(split: Split, *, rows: int, context: int, horizon: int, train_percent: int) -> dict[str, range]:
    """The TARGET rows of each part, whose forecasts count.

    Validation and test contexts reach up to T rows into the part before, so the first target is the part's first row
    and the test targets are the same for every T. Training targets start at row T. With `train_percent` p below 100
    the training part ends at row (train - T) * p // 100 + T. Raises InputError if a value or the split cannot be
    used.
    """
    for name, value in (("rows", rows), ("context", context), ("horizon", horizon)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if not 1 <= train_percent <= 100:
        raise InputError(f"train_percent is {train_percent}; it must be between 1 and 100")
    train, validation, test = _sizes(split, rows)
    kept = (train - context) * train_percent // 100 + context if train > context else train
    return {
        "train": range(min(context, kept), kept),
        "validation": range(train, train + validation),
        "test": range(train + validation, train + validation + test),
    }


def count_windows(split: Split, *, rows: int, context: int, horizon: int, train_percent: int) -> dict[str, int]:
    """Windows of each part: its target rows - H + 1, or 0 where there are too few. The last window counts."""
    parts = part_rows(split, rows=rows, context=context, horizon=horizon, train_percent=train_percent)
    return {name: max(0, len(part) - horizon + 1) if part.start >= context else 0 for name, part in parts.items()}


def train_rows(split: Split, *, rows: int) -> int:
    """All training rows, also in a few-shot run: those that the scaler is fitted on."""
    return _sizes(split, rows)[0]


def _sizes(split: Split, rows: int) -> tuple[int, int, int]:
    if split.rule == "months":
        if not split.rows_per_day:
            raise InputError("the split rule `months` needs rows_per_day; give it in the catalogue")
        sizes = tuple(int(months * DAYS * split.rows_per_day) for months in (split.train, split.validation, split.test))
    elif split.rule == "ratio":
        train, test = int(rows * split.train), int(rows * split.test)
        sizes = (train, rows - train - test, test)
    else:
        raise InputError(f"the split rule {split.rule!r} does not divide rows; only `months` and `ratio` do")
    if sum(sizes) > rows or min(sizes) < 1:
        raise InputError(
            f"the split {split.rule} {split.train:g}/{split.validation:g}/{split.test:g} needs {sizes[0]} + "
            f"{sizes[1]} + {sizes[2]} rows, of which each must be at least 1 and the sum at most {rows}; change the "
            "split or the data"
        )
    return sizes
