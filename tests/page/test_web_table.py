"""A table's page in a real browser: a click on a heading sorts it, and no data set's name becomes markup."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.web_table import to_html

NASTY = "<script>document.title = 'owned'</script><b onclick=\"x\">&amp;"
# b9 and b10 print alike, and b9 is smaller.
LINES = (("b10", "9.3", 9.32, "-"), ("b9", "9.3", 9.25, "-"), (NASTY, "(3)", -3, "x"), ("c", "\N{EN DASH}", None, "x"))


def entry(name, number, value, word):
    first = (Cell(text=name), Cell(text=number, value=value, spread="\N{PLUS-MINUS SIGN}99"), Cell(text=word))
    return (first, (Cell(text=""), Cell(text="0"), Cell(text="paper")))


@pytest.fixture
def page(browser, tmp_path):
    header = ((Cell(), Cell(text="errors", span=2)), (Cell(text="Data set"), Cell(text="MSE"), Cell(text="word")))
    block = Block(header=header, groups=(tuple(entry(*line) for line in LINES),))
    file = tmp_path / "table.html"
    table = Table(columns="lrl", blocks=(block,), caption=f"Caption {NASTY}.", label="a")
    file.write_text(to_html(table), encoding="utf-8")
    browser.get_log("browser")
    browser.get(file.as_uri())
    yield browser
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def names(page):
    """The names of the entries from top to bottom; checks that the paper's line still follows each."""
    bodies = page.find_elements(By.TAG_NAME, "tbody")
    assert [body.find_elements(By.TAG_NAME, "tr")[1].text for body in bodies] == ["0 paper"] * len(LINES)
    return [body.find_element(By.TAG_NAME, "th").text for body in bodies]


def test_clicks_sort_reverse_and_restore_the_order(page):
    original = [name for name, *_ in LINES]
    button = page.find_element(By.XPATH, "//button[text()='MSE']")
    heading = button.find_element(By.XPATH, "..")
    assert names(page) == original and heading.get_attribute("aria-sort") == "none"
    button.click()
    assert names(page) == [NASTY, "b9", "b10", "c"] and heading.get_attribute("aria-sort") == "ascending"
    button.click()
    assert names(page) == ["b10", "b9", NASTY, "c"] and heading.get_attribute("aria-sort") == "descending"
    button.click()
    assert names(page) == original and heading.get_attribute("aria-sort") == "none"


def test_names_with_numbers_sort_naturally_and_only_one_column_is_sorted_at_a_time(page):
    page.find_element(By.XPATH, "//button[text()='MSE']").click()
    page.find_element(By.XPATH, "//button[text()='Data set']").click()
    assert names(page) == [NASTY, "b9", "b10", "c"]
    assert len(page.find_elements(By.CSS_SELECTOR, "[aria-sort=ascending]")) == 1
    assert len(page.find_elements(By.CSS_SELECTOR, "[aria-sort=none]")) == 2


def test_the_keyboard_sorts_too_and_the_sorting_is_announced(page):
    page.find_element(By.XPATH, "//button[text()='MSE']").send_keys(Keys.ENTER)
    assert names(page)[0] == NASTY
    assert page.find_element(By.ID, "said").get_property("textContent") == "Sorted by errors MSE, ascending."
    assert page.switch_to.active_element.text == "MSE"


def test_names_are_shown_as_text(page):
    assert page.title == f"Caption {NASTY}."
    count = "return ['b', 'script'].map((name) => document.querySelectorAll(name).length)"
    assert page.execute_script(count) == [0, 1]
