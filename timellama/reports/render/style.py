"""One style for all figures: sizes, fonts, and a distinct colour, line and marker for each method.

Colours are those of seaborn's colour-blind safe palette that stand out on white, and two more. They are listed here,
since importing seaborn takes longer than drawing a figure. Line style and marker differ too, so a greyscale print can
be read. Figures are made without pyplot: nothing global changes, and no display is needed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from timellama.core.errors import InputError
from timellama.core.files import staged

COLUMN, PAGE = 3.3, 7.0  # inches: a column and the text of a two-column A4 page
DOTS_PER_INCH = 200  # our choice: sharp on a screen, small in a report
TRUTH, CONTEXT = "black", "0.6"
# mwaskom/seaborn 0.13.2 seaborn/palettes.py, "colorblind".
BLUE, ORANGE, GREEN, RED = "#0173b2", "#de8f05", "#029e73", "#d55e00"
PURPLE, BROWN, SKY = "#cc78bc", "#ca9161", "#56b4e9"
# Our choice: that palette's pink and yellow are too pale for a line on white. Of a grid of colours these two are the
# furthest from the others and from each other, for eyes with and without each kind of colour blindness.
VIOLET, UMBER = "#9900ff", "#662900"
MARK = "#b00020"  # our choice: a red that is visible on white, for what is missing from a figure
METADATA = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}  # no date or version
DARK = "0.35"  # our choice: a tenth colour that is not the grey of the look-back
SOLID, DASHED, DOTTED, MIXED = "-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1))

_RC = {
    # What differs from matplotlib's defaults in seaborn's style "ticks", mwaskom/seaborn 0.13.2 seaborn/rcmod.py.
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ".15"),
    "axes.axisbelow": True,
    "grid.color": ".8",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so it is the same everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,  # whole TrueType fonts: type 3 is refused by many publishers
    "figure.dpi": 100,
    "savefig.dpi": DOTS_PER_INCH,
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a method is drawn."""

    color: str
    linestyle: str | tuple
    marker: str


METHODS = {
    "Time-LlaMA": Look(color=BLUE, linestyle=SOLID, marker="o"),
    "DLinear": Look(color=ORANGE, linestyle=DASHED, marker="s"),
    "PatchTST": Look(color=GREEN, linestyle=MIXED, marker="^"),
    "RLinear": Look(color=RED, linestyle=DOTTED, marker="D"),
    "Seasonal naive": Look(color=PURPLE, linestyle=DOTTED, marker="v"),
    "Hour-of-day mean": Look(color=SKY, linestyle=MIXED, marker="P"),
    "Time-LLM": Look(color=BROWN, linestyle=DASHED, marker="X"),
    "GPT4TS": Look(color=VIOLET, linestyle=SOLID, marker="*"),
    "TimesNet": Look(color=DARK, linestyle=DASHED, marker="<"),
    "iTransformer": Look(color=UMBER, linestyle=MIXED, marker=">"),
}
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, VIOLET, SKY)
LINES = (SOLID, DASHED, MIXED, DOTTED)
MARKERS = ("os^D", "dph8", "os^D", "dph8")  # by turn; no known method has the second ones
# Every colour with every line; neighbours differ in colour, line and marker.
OTHERS = tuple(
    Look(color=color, linestyle=LINES[(number + turn) % 4], marker=MARKERS[turn][(number + turn) % 4])
    for turn in range(4)
    for number, color in enumerate(COLORS)
)


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label: the fixed one of a known method, and for others one that no label here has.

    It differs in colour from all before it, and in line and marker, for as long as possible.

    Raises:
        InputError: there are more labels than looks.
    """
    found = {label: METHODS[label] for label in labels if label in METHODS}
    others = [label for label in dict.fromkeys(labels) if label not in METHODS]
    taken = {(look.color, look.linestyle) for look in found.values()}
    free = [look for look in OTHERS if (look.color, look.linestyle) not in taken]
    if len(others) > len(free):
        raise InputError(f"{len(others)} lines cannot be told apart in one figure: give at most {len(free)} at a time.")
    for label in others:
        colors = {look.color for look in found.values()}
        marks = {(look.linestyle, look.marker) for look in found.values()}  # what a greyscale print distinguishes
        found[label] = min(free, key=lambda look: (look.color in colors, (look.linestyle, look.marker) in marks))
        free.remove(found[label])
    return {label: found[label] for label in dict.fromkeys(labels)}


@contextmanager
def theme() -> Iterator[None]:
    """The style, for as long as the context lasts."""
    with matplotlib.rc_context(_RC):
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, whose parts are laid out so that nothing overlaps. Use inside `theme`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def blank(text: str) -> Figure:
    """An empty figure with a title, shown instead of one that has no results to draw."""
    with theme():
        figure = canvas(PAGE, 0.5)
        figure.text(0.01, 0.5, text, va="center", parse_math=False)
    return figure


def save(figure: Figure, *files: Path, mark: str = "") -> None:
    """Writes files, `.pdf` or `.png`, all whole or none; a figure always gives the same bytes, since they hold no date.

    A `mark`, a few words, is in the figure's lower right corner; the figure's size is the same with and without it.
    """
    with theme(), staged(*files) as names:
        if mark:
            if figure.get_layout_engine() is None:  # from a user-supplied builder
                figure.set_layout_engine("constrained")
            # A legend without lines, since the layout makes room for legends.
            corner = figure.legend([], [], title=mark, loc="outside lower right", borderpad=0, borderaxespad=0.2)
            corner.get_title().set(color=MARK, fontsize=7, fontweight="bold", parse_math=False)
        # The layout begins where the last one ended: PNG first, so that it is the same with and without a PDF.
        for name, file in sorted(zip(names, files, strict=True), key=lambda pair: pair[1].suffix == ".pdf"):
            kind = file.suffix
            figure.savefig(name, format=kind.removeprefix("."), metadata=METADATA[kind])
