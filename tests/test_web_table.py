"""The HTML of a table: well formed, no markup but ours, columns in their places, and no address in it."""

from html.parser import HTMLParser

import numpy as np

from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.web_table import to_html

VOID = {"meta"}


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps the cells of each row: (tag, attributes, text)."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.names = [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "th" in self.open or "td" in self.open:
            self.rows[-1][-1][2] += data

    def texts(self):
        return [[text for *_, text in row] for row in self.rows]


def made(*groups, columns="llll", title=""):
    header = (
        (Cell(), Cell(text="Time-LlaMA", span=2), Cell()),
        (Cell(text="Data set"), Cell(text="MSE"), Cell(text="MAE"), Cell()),
    )
    block = Block(header=header, groups=groups, title=title)
    return to_html(Table(columns=columns, blocks=(block,), caption="A caption. More.", label="l", notes=("A note",)))


def line(*texts):
    return (tuple(Cell(text=text) for text in texts),)


def values(row):
    return [attributes.get("data-value") for _, attributes, _ in row]


def test_empty_columns_are_left_out_and_spans_shrink():
    read = Reader(made((line("ETTh1", "0.4", "0.5", ""),), (line("ETTm1", "\N{EN DASH}", "1", ""),)))
    assert read.texts()[1:] == [["Data set", "MSE", "MAE"], ["ETTh1", "0.4", "0.5"], ["ETTm1", "\N{EN DASH}", "1"]]
    assert read.rows[0][1][:2] == ["th", {"class": "over", "scope": "colgroup", "colspan": "2"}]


def test_a_cell_sorts_by_its_number_and_not_by_what_it_prints():
    numbers = (("0.1", 0.1 + 0.2), ("(123)", np.float64(-123.4)), ("7 of 9", np.int64(7)), ("5", None), ("-", np.nan))
    row = tuple(Cell(text=text, value=value) for text, value in numbers)
    block = Block(header=(row,), groups=(((row,),),))
    read = Reader(to_html(Table(columns="lllll", blocks=(block,), caption="c", label="l")))
    assert values(read.rows[1]) == ["0.30000000000000004", "-123.4", "7.0", None, None]


def test_a_name_for_several_entries_is_repeated_for_each():
    entry = ((Cell(), Cell(text="1"), Cell(text="2"), Cell()), (Cell(), Cell(text="3"), Cell(text="4"), Cell()))
    read = Reader(made((line("ETTh1", "5", "6", ""), entry), (line("", "7", "8", ""),)))
    assert [row[0] for row in read.texts()[2:]] == ["ETTh1", "ETTh1", "", ""]
    assert "again" in read.rows[3][0][1]["class"]


def test_text_is_escaped_everywhere_and_nothing_is_fetched():
    nasty = "<img src=http://x/ onerror='a'>\"&\x00\n"
    block = Block(header=(line(nasty),)[0], groups=((line(nasty),),), title=nasty)
    text = to_html(Table(columns="l", blocks=(block,), caption=nasty, label=nasty, notes=(nasty,)))
    read = Reader(text)
    printed = "<img src=http://x/ onerror='a'>\"&? "
    assert read.texts() == [[printed], [printed]] and "img" not in read.names
    assert not {"link", "iframe", "img"} & read.names and " src=" not in text.replace(" src=http://x/", "")


def test_a_group_and_a_title_are_marked():
    text = made((line("a", "1", "2", ""), line("b", "1", "2", "")), (line("c", "1", "2", ""),), title="Floor")
    assert text.count('<tbody class="first">') == 2 and text.count("<tbody>") == 1 and "<h2>Floor</h2>" in text
