"""The pages that a reader opens, in a real browser that has no network."""

import shutil
import time

import pandas as pd
import pytest
from studies import TINY, snakemake
from test_workflow import FIGURES, TABLES

from boxest.report import html

CHROMIUM, DRIVER = (
    next(filter(None, map(shutil.which, names)), None)
    for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
]
SECTIONS = {
    "1 Findings": 1,
    "2 Problem (§2)": 2,
    "3 Accuracy (§3.1)": 7,
    "4 Learning time (§3.2)": 3,
    "5 Towards improvement (§5)": 3,
    "6 Tables": len(TABLES),
}


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, and without a network: no name can be resolved."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1400,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def wait(condition, seconds=900):
    """Return what the condition gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing appeared on the page"
        time.sleep(0.05)
    return found


def click(browser, xpath):
    """Click the first visible element, in one step: the page moves elements while it is built."""
    script = """
        const found = document.evaluate(arguments[0], document, null, 7, null);
        const all = Array.from({ length: found.snapshotLength }, (_, i) => found.snapshotItem(i));
        const visible = all.find((one) => one.offsetParent);
        visible?.click();
        return Boolean(visible);
    """
    wait(lambda: browser.execute_script(script, xpath))


def errors(browser):
    """Return what the browser complained about."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def shown(browser, xpath):
    return [one for one in browser.find_elements("xpath", xpath) if one.is_displayed()]


def images(browser):
    """Return the widths of the images of the page as they came, and as they are drawn."""
    script = "return [...document.images].map(i => [i.complete && i.naturalWidth, i.clientWidth])"
    return browser.execute_script(script)


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    directory = tmp_path_factory.mktemp("report") / "boxest"
    shutil.copytree(study[0].parent.parent, directory)
    done = snakemake(directory, *TINY, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    return (directory / "report.html").as_uri()


def test_report_opens_with_the_summary_and_the_explorer(browser, report):
    browser.get(report)
    assert wait(lambda: shown(browser, "//li/p/strong[text()='The best cell']|//li/strong"))
    (link,) = shown(browser, "//a[text()='explorer.html']")
    assert link.get_attribute("href").endswith("/explorer.html")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_result_of_the_report_is_displayed(browser, report, section):
    browser.get(report)
    click(browser, f"//*[text()='{section}']")
    rows = wait(lambda: shown(browser, "//tr[.//a]"))
    assert len(rows) == SECTIONS[section]
    for i in range(1, len(rows) + 1):
        click(browser, f"(//tr[.//a])[{i}]//a")
        results = wait(lambda: shown(browser, "//img[contains(@src, 'image/png')] | //iframe"))
        if results[0].tag_name == "img":
            wait(lambda: all(natural for natural, _ in images(browser)))
            assert images(browser)[-1][1] > 400
        else:
            browser.switch_to.frame(results[0])
            assert wait(lambda: shown(browser, "//h1"))
            assert wait(lambda: shown(browser, "//table"))
            browser.switch_to.default_content()
    assert errors(browser) == []


def test_page_of_findings_shows_its_figures_and_enlarges_them(browser, study):
    browser.get((study[0] / "findings.html").as_uri())
    widths = images(browser)
    assert len(widths) >= 10
    assert all(natural > 400 and drawn > 400 for natural, drawn in widths)
    first = browser.find_element("tag name", "img")
    small = first.size["width"]
    first.click()
    assert first.size["width"] > small
    first.click()
    assert first.size["width"] == small
    assert errors(browser) == []


def test_page_of_findings_fits_on_paper(browser, study):
    browser.get((study[0] / "findings.html").as_uri())
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    # A4 without its margins, in CSS pixels.
    paper = {"width": 680, "height": 1009, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", paper)
    try:
        widths = "return [...document.querySelectorAll('body, table, img')].map(e => e.scrollWidth)"
        assert max(browser.execute_script(widths)) <= paper["width"]
        tables = (
            "return [...document.querySelectorAll('table')].map(e => getComputedStyle(e).display)"
        )
        assert set(browser.execute_script(tables)) == {"table"}
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def column(browser, index):
    return [cell.text for cell in browser.find_elements("css selector", f"td:nth-child({index})")]


def test_tables_sort_numbers_and_text(browser, tmp_path):
    frame = pd.DataFrame(
        {
            "number": [10, 9, -1.5, None],
            "text": ["b", "a <i>", "c", "d"],
            "mixed": list("1x2y"),
            "written": ["1,200,500", "900", "−2e−05 ± 1", "−0.5"],
        }
    )
    (tmp_path / "page.html").write_text(html.table("sorted <b>", frame))
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.find_element("tag name", "h1").text == "sorted <b>"
    number, text, mixed, written = browser.find_elements("tag name", "th")
    number.click()
    assert column(browser, 1) == ["-1.5", "9", "10", ""]
    assert number.get_attribute("aria-sort") == "ascending"
    number.click()
    assert column(browser, 1) == ["", "10", "9", "-1.5"]
    text.click()
    assert column(browser, 2) == ["a <i>", "b", "c", "d"]
    assert number.get_attribute("aria-sort") is None
    mixed.send_keys("\ue007")
    assert column(browser, 3) == ["1", "2", "x", "y"]
    written.click()
    assert column(browser, 4) == ["−0.5", "−2e−05 ± 1", "900", "1,200,500"]
    assert errors(browser) == []


def test_every_figure_has_a_section():
    sections = {name: count for name, count in SECTIONS.items() if name[0] in "2345"}
    assert sum(sections.values()) == len(FIGURES)
