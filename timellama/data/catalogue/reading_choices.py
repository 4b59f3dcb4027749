"""What the options for reading a file may be. Nothing is imported, so that the command line starts without the rest."""

from typing import Literal

Separator = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
Dates = Literal["year-first", "day-first", "month-first"]
Duplicates = Literal["first", "last", "mean"]
Fill = Literal["linear", "previous", "seasonal"]
Align = Literal["common", "all"]
Missing = Literal["mask"]
