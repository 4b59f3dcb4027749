"""The page of the reports as a reader sees it: it loads without a network, every entry opens, a table sorts."""

import base64
import json
import re

import pytest
from docutils.core import publish_parts
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from timellama.reports.catalogue import OWN
from timellama.reports.run_page import BEGIN, END

MENU = {"Workflow", "Statistics", "About"}  # the page's own entries


@pytest.fixture
def page(browser, report):
    browser.get_log("browser")
    browser.get(report.as_uri())
    browser.find_element(By.CSS_SELECTOR, "nav li")
    return browser


def entries(page):
    """The names in the menu or of a category's reports."""
    return [item.text.strip() for item in page.find_elements(By.CSS_SELECTOR, "nav ul li a")]


def click(page, name):
    page.find_element(By.XPATH, f"//nav//ul//li//a[normalize-space()='{name}']").click()


def category(page, name):
    """Opens a category. A click may come before the page handles it, so it is repeated until the reports are listed."""

    def opened(_):
        if name in entries(page):
            click(page, name)
        return name not in entries(page)

    WebDriverWait(page, 60, ignored_exceptions=[StaleElementReferenceException]).until(opened)


def home(page):
    page.find_element(By.CSS_SELECTOR, "nav ol a").click()


def buttons(page):
    """The buttons for showing, and for more about, the report that is open in the menu."""
    return page.find_elements(By.CSS_SELECTOR, "nav tbody tr td:last-child a")


def results(report):
    """What the page holds about each report."""
    return json.loads(re.search(r"var results = (\{.*\});\n", report.read_text(encoding="utf-8"))[1])


def test_the_page_loads_without_a_network_and_without_errors(page):
    assert "Each training was done with the seed 0" in page.find_element(By.CSS_SELECTOR, ".prose").text
    assert {*entries(page)} == {*MENU, "Abstract", "Tables", "Figures", "Data"}
    for name in sorted(MENU):
        click(page, name)
        home(page)
    asked = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not [address for address in asked if address.startswith("http")]
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_home_page_holds_the_abstract_of_the_run(page, report):
    shown = " ".join(page.find_element(By.CSS_SELECTOR, ".prose").text.split())
    abstract = report.with_name("README.md").read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    for paragraph in abstract.strip().split("\n\n"):
        assert re.sub(r"[*\\]", "", paragraph) in shown


def test_the_home_page_is_shown_from_its_top(page):
    top = page.execute_script("return document.querySelector('.prose h1').getBoundingClientRect().top")
    assert top >= 0


@pytest.mark.parametrize(("name", "shown"), [("Tables", "iframe"), ("Figures", "img")])
def test_every_report_of_a_category_can_be_shown(page, report, name, shown):
    category(page, name)
    names = entries(page)
    assert names == sorted(names) and len(names) >= 3
    for each in names:
        click(page, each)
        assert "smoke" in page.find_element(By.CSS_SELECTOR, "nav tbody").text
        buttons(page)[0].click()
        content = page.find_element(By.CSS_SELECTOR, f"#app .grow {shown}")
        assert content.size["width"] > 300 and content.size["height"] > 40
        if shown == "img":
            WebDriverWait(page, 10).until(lambda _, image=content: int(image.get_property("naturalWidth")) > 300)
        buttons(page)[1].click()
        assert len(page.find_element(By.CSS_SELECTOR, "nav .prose").text) > 80
        page.find_element(By.XPATH, f"//nav//ol//a[text()='{name}']").click()
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_remark_on_a_figure_is_shown_below_how_to_read_it(page, report):
    category(page, "Figures")
    click(page, "Figure E8. Forecasts, Synthetic")
    buttons(page)[1].click()
    shown = page.find_element(By.CSS_SELECTOR, "nav .prose").text
    remark = report.with_name("figures") / "forecasts_Synthetic.txt"
    for line in remark.read_text(encoding="utf-8").splitlines():
        assert line and line in shown


def test_a_click_sorts_a_table_in_the_page(page):
    category(page, "Tables")
    click(page, "Table 6. Data sets")
    buttons(page)[0].click()
    page.switch_to.frame(page.find_element(By.CSS_SELECTOR, "#app iframe"))
    numbers = "return [...document.querySelectorAll('tbody')].map((body) => Number(body.rows[0].cells[2].textContent))"
    before = page.execute_script(numbers)
    heading = page.find_element(By.XPATH, "//th[button[text()='Variates']]")
    heading.find_element(By.TAG_NAME, "button").click()
    assert page.execute_script(numbers) == sorted(before) != before
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.find_element(By.ID, "said").get_property("textContent") == "Sorted by Variates, ascending."
    page.switch_to.default_content()


def test_labels_give_data_set_horizon_method_and_seed(report):
    labels = {path: result["labels"] for path, result in results(report).items()}
    assert labels["reports/table_long_term.html"] == {
        "configuration": "smoke",
        "data set": "Synthetic",
        "horizon": "24",
        "method": "5 methods",
        "seed": "0",
    }
    assert labels["reports/figures/router_training.png"]["method"] == "Time-LlaMA"
    assert labels["results/data/Synthetic/quirks.json"] == {"data set": "Synthetic"}


def test_the_page_holds_the_files_themselves(report):
    held = results(report)["reports/table_long_term.html"]["data_uri"]
    assert base64.b64decode(held.split(",", 1)[1]) == report.with_name("table_long_term.html").read_bytes()


def test_every_report_has_its_own_caption():
    texts = {
        report.name: publish_parts(report.caption, writer="html", settings_overrides={"halt_level": 2})["body"]
        for report in OWN
    }
    assert len(texts) == len(OWN) > 20 and len(set(texts.values())) == len(texts)
    assert all(len(text) > 80 for text in texts.values())
