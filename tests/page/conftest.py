"""A real browser that reaches no network, and the page of the finished project's reports."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # a browser that runs as root has no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1400,900",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # any request to another machine fails
)


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    if not BROWSER or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))  # an explicit path, so that none is downloaded
    driver.implicitly_wait(10)  # our choice: seconds for a page on a busy machine
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def report(copy_of_finished) -> Path:
    project = copy_of_finished()
    path = project.folder / "reports/report.html"
    done = project.snakemake("all", "--report", str(path))
    assert done.returncode == 0, done.stdout
    return path
