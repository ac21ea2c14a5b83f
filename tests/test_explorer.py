"""The page of a study to play with: what it holds, and what its controls do in a real browser."""

import base64
import gzip
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from test_report import browser, errors, wait  # noqa: F401 -- a fixture

from boxest import boxes, synthetic
from boxest.report import explorer

AXES = {"batch_size": [4, 16, 40], "learning_rate": [0.001, 0.01, 0.1]}
SEEDS, EPOCHS, PICTURES = 2, 4, 3
MEASURES = ["validation_loss", "validation_iou_loss", "train_loss"]


def table(axes=AXES):
    """Return histories whose numbers are all different; one cell diverges, one run stops early."""
    rng = np.random.default_rng(0)
    rows = []
    for *cell, seed in itertools.product(*axes.values(), range(SEEDS)):
        run = dict(zip(axes, cell, strict=True)) | {"seed": seed}
        stops = 2 if cell[:2] == [40, 0.01] and seed else EPOCHS
        for epoch in range(1, stops + 1):
            numbers = {name: rng.uniform(0.1, 1) for name in MEASURES}
            if cell[:2] == [4, 0.1] and epoch == EPOCHS:
                numbers |= dict.fromkeys(MEASURES, np.nan)
            updates = epoch * -(-128 // run["batch_size"])
            counts = {"epoch": epoch, "updates": updates, "train_seconds": 0.5 + 0.1 * seed}
            rows.append(run | numbers | counts)
    return pd.DataFrame(rows)


HISTORIES = table()
X, TRUE = synthetic.make(0, PICTURES, seed=1, image_size=32)
FOLLOWED = {
    tuple(key): TRUE + np.random.default_rng(int(key[0])).normal(0, 0.05, (len(rows), PICTURES, 4))
    for key, rows in HISTORIES.groupby(["batch_size", "learning_rate", "seed"])
}


def options(**changes):
    given = {"axes": list(AXES), "title": "A <small> study", "pictures": X, "boxes": TRUE}
    return given | {"followed": FOLLOWED} | changes


def study_of(page):
    """Return the data of a page."""
    packed = re.search(r'id="study">([^<]+)<', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_page_holds_every_number_of_the_table():
    page = explorer.page(HISTORIES, **options())
    study = study_of(page)
    by_run = HISTORIES.sort_values([*AXES, "seed", "epoch"])
    for name in MEASURES:
        column = np.frombuffer(base64.b64decode(study["columns"][name]), "<f4")
        np.testing.assert_array_equal(column, by_run[name].astype("f4"))
    assert [axis["values"] for axis in study["axes"]] == list(AXES.values())
    assert sum(run["epochs"] for run in study["runs"]) == len(HISTORIES)
    assert study["summary"] == "18 runs: 9 cells, 2 seeds, 4 epochs at most."
    assert "A &lt;small&gt; study" in page
    assert not re.search(r'(src|href)="http', page)


def test_cells_with_other_losses_are_compared_by_a_measure_that_all_have():
    histories = table(AXES | {"loss": ["giou", "iou"]})
    study = explorer._study(histories, (*AXES, "loss"))
    names = [measure["column"] for measure in study["measures"]]
    assert names == ["validation_iou_loss", "validation_loss", "train_loss"]
    # The loss may follow from another axis, such as the network, without being one.
    histories = table(AXES | {"network": ["marginal", "roi"]})
    study = explorer._study(histories, (*AXES, "network"), same_loss=False)
    assert [measure["column"] for measure in study["measures"]] == names


def test_shares_of_a_common_time_are_called_so():
    page = explorer.page(HISTORIES, **options(together=True))
    assert "their seconds are shares of a common time" in study_of(page)["summary"]


def test_numbers_beside_a_name_are_ordered_by_size():
    """A table of text holds them as text."""
    histories = table(AXES | {"plateau_patience": ["10", "3", "never"]})
    study = explorer._study(histories, (*AXES, "plateau_patience"))
    assert study["axes"][2]["values"] == ["3", "10", "never"]
    cells = {tuple(run["cell"]) for run in study["runs"]}
    assert len(cells) == 27


@pytest.mark.parametrize(
    ("histories", "changes", "message"),
    [
        (HISTORIES.drop(columns="seed"), {}, "without seed"),
        (HISTORIES.drop(columns=MEASURES), {}, "without validation_loss"),
        (HISTORIES.head(0), {}, "0 rows"),
        (HISTORIES, {"axes": []}, "at least one axis"),
        (HISTORIES, {"boxes": TRUE[:2]}, r"shape \(n, 4\); got \(3, 32, 32\) and \(2, 4\)"),
        (HISTORIES, {"followed": {}}, r"run \(4, 0.001, 0\) .* shape \(4, 3, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(histories, changes, message):
    with pytest.raises(ValueError, match=message):
        explorer.page(histories, **options(**changes))


def in_browser(test):
    """Mark a test that opens the page."""
    return pytest.mark.browser(pytest.mark.slow(test))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    explorer.write(path, HISTORIES, **options())
    return path.as_uri()


def opened(browser, address):  # noqa: F811
    browser.get("about:blank")
    browser.get(address)
    wait(lambda: browser.find_elements("css selector", "#map button"))
    wait(lambda: browser.find_elements("css selector", "#curves svg"))


def one(browser, selector):  # noqa: F811
    return browser.find_element("css selector", selector)


def choose(browser, selector, value):  # noqa: F811
    """Set a control as a user does: the page hears of it."""
    script = (
        "const [e, v] = arguments; e.value = v;"
        "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind))"
    )
    browser.execute_script(script, one(browser, selector), value)


def last_rows(by=("batch_size", "learning_rate")):
    return HISTORIES.groupby([*by, "seed"]).tail(1).groupby(list(by))


@in_browser
def test_map_shows_the_means_of_the_table(browser, address):  # noqa: F811
    opened(browser, address)
    expected = {
        "validation_loss": last_rows()["validation_loss"].apply(lambda x: x.mean(skipna=False)),
        "train_loss": last_rows()["train_loss"].apply(lambda x: x.mean(skipna=False)),
        "seconds": HISTORIES.groupby(list(AXES))["train_seconds"].sum() / SEEDS,
        "epochs": last_rows()["epoch"].mean(),
    }
    for measure, means in expected.items():
        choose(browser, "#measure", measure)
        shown = browser.execute_script(
            "return [...document.querySelectorAll('#map button')].map(b => Number(b.dataset.value))"
        )
        numbers = np.array([np.nan if number is None else number for number in shown])
        np.testing.assert_allclose(numbers, means, rtol=1e-6)
    choose(browser, "#epoch", 2)
    choose(browser, "#measure", "now")
    second = HISTORIES[HISTORIES["epoch"] == 2].groupby(list(AXES))["validation_loss"].mean()
    shown = one(browser, "#map button").get_attribute("data-value")
    assert float(shown) == pytest.approx(second.iloc[0], rel=1e-6)
    assert errors(browser) == []


@in_browser
def test_cells_are_chosen_by_mouse_keyboard_and_sliders_and_stand_in_the_address(browser, address):  # noqa: F811
    opened(browser, address)
    one(browser, "[data-key='0,0']").click()
    assert one(browser, "#name-a").text == "batch size 4, learning rate 0.001"
    one(browser, "#pin").click()
    one(browser, "[data-key='0,0']").send_keys("\ue014")  # right
    assert one(browser, "#name-a").text == "batch size 4, learning rate 0.01"
    choose(browser, "#choose-batch_size", 2)
    assert one(browser, "#name-a").text == "batch size 40, learning rate 0.01"
    assert one(browser, "#name-b").text == "pinned: batch size 4, learning rate 0.001"
    traces = browser.execute_script("return document.getElementById('curves').data.map(t => t.y)")
    run = HISTORIES.query("batch_size == 40 and learning_rate == 0.01 and seed == 0")
    np.testing.assert_allclose(traces[SEEDS + 1], run["validation_loss"], rtol=1e-6)
    choose(browser, "#against", "seconds")
    link = wait(lambda: "against=seconds" in browser.current_url and browser.current_url)
    mean = browser.execute_script("return document.getElementById('curves').data.at(-1).x")
    assert mean == pytest.approx([0.55, 1.1])  # The second of two seeds has two epochs.
    opened(browser, link)
    assert one(browser, "#name-a").text == "batch size 40, learning rate 0.01"
    assert one(browser, "#name-b").text == "pinned: batch size 4, learning rate 0.001"
    assert one(browser, "#against").get_attribute("value") == "seconds"
    one(browser, "#unpin").click()
    assert one(browser, "#name-b").text == ""
    assert errors(browser) == []


@in_browser
def test_pictures_show_the_boxes_of_the_epoch(browser, address):  # noqa: F811
    opened(browser, f"{address}#a=1,1&epoch=1")

    def shown():
        captions = browser.find_elements("css selector", ".strip.a figcaption")
        return [float(caption.text.removeprefix("IoU ")) for caption in captions]

    def expected(epoch, seeds):
        runs = [FOLLOWED[16, 0.01, seed][epoch - 1] for seed in seeds]
        return np.mean([boxes.iou(TRUE, run) for run in runs], axis=0)

    np.testing.assert_allclose(shown(), expected(1, range(SEEDS)), atol=0.006)
    choose(browser, "#seed", "1")
    choose(browser, "#epoch", 3)
    np.testing.assert_allclose(shown(), expected(3, [1]), atol=0.006)
    one(browser, "#play").click()
    wait(lambda: one(browser, "#play").text == "Play")
    assert one(browser, "#epoch-now").text == str(EPOCHS)
    assert errors(browser) == []


@in_browser
def test_a_cell_may_lack_the_seed_that_is_chosen(browser, tmp_path):  # noqa: F811
    few = HISTORIES[(HISTORIES["batch_size"] == 4) | (HISTORIES["seed"] == 0)]
    followed = {key: FOLLOWED[key] for key in FOLLOWED if key[0] == 4 or key[-1] == 0}
    explorer.write(tmp_path / "page.html", few, **options(followed=followed))
    opened(browser, f"{(tmp_path / 'page.html').as_uri()}#a=1,1&seed=1")
    captions = browser.find_elements("css selector", ".strip.a figcaption")
    assert [one.text for one in captions] == ["no run with this seed"] * PICTURES
    assert errors(browser) == []


@in_browser
def test_other_networks_and_data_are_no_part_of_a_comparison(browser, tmp_path):  # noqa: F811
    axes = AXES | {"condition": ["clean", "dark"], "network": ["roi", "small"]}
    histories = table(axes)
    worse = (histories["condition"] == "dark") | (histories["network"] == "small")
    histories.loc[worse, MEASURES] += 5
    explorer.write(tmp_path / "page.html", histories, axes=list(axes), title="networks")
    opened(browser, f"{(tmp_path / 'page.html').as_uri()}#a=0,0,1,0")
    browser.execute_script("document.getElementById('scatter').scrollIntoView()")
    script = "return document.getElementById('scatter').data?.[1].customdata"
    front = wait(lambda: browser.execute_script(script))
    assert {key.split(",")[2] for key in front} == {"1"}
    one(browser, "#tour-start").click()
    text = one(browser, "#tour-text").text
    assert "condition clean, network roi, the loss is still" in text
    assert "the highest of its network and data" in text
    assert errors(browser) == []


@in_browser
def test_line_of_constant_product_marks_cells_and_can_be_dragged(browser, address):  # noqa: F811
    from selenium.webdriver import ActionChains

    opened(browser, f"{address}#line=1")
    marked = "return [...document.querySelectorAll('.on-line')].map(b => b.dataset.key)"
    choose(browser, "#line-at", 0)
    assert browser.execute_script(marked) == ["2,0"]
    choose(browser, "#line-at", 0.5)
    # 0.01 × 8 updates an epoch; a tenth of the rate at 80 updates would be on it, too.
    assert browser.execute_script(marked) == ["1,1"]
    handle, target = one(browser, "[data-key='1,1']"), one(browser, "[data-key='0,2']")
    ActionChains(browser).drag_and_drop(handle, target).perform()
    assert browser.execute_script(marked) == ["0,2"]
    assert errors(browser) == []


@in_browser
def test_tour_has_six_steps_and_a_narrow_page_does_not_scroll_sideways(browser, address):  # noqa: F811
    opened(browser, address)
    one(browser, "#tour-start").click()
    titles = [one(browser, "#tour-title").text]
    for _ in range(5):
        one(browser, "#tour-next").click()
        titles.append(one(browser, "#tour-title").text)
    assert titles == [
        "Too slow",
        "Right",
        "Restless",
        "Scaled together",
        "Time",
        "Small objects",
    ]
    assert not one(browser, "#tour-next").is_enabled()
    one(browser, "#tour-end").click()
    assert not one(browser, "#tour").is_displayed()
    # A phone; a window is never as narrow as that.
    phone = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        wait(lambda: browser.execute_script("return document.documentElement.scrollWidth") <= 360)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert errors(browser) == []


@in_browser
def test_tour_tells_what_this_study_shows(browser, tmp_path):  # noqa: F811
    """Curves that only fall are not restless, and a pair with one rate is not scaled together."""
    rows = [
        {"batch_size": size, "learning_rate": rate, "seed": 0, "epoch": epoch}
        | {"updates": epoch * -(-800 // size), "train_seconds": 0.5}
        | {"validation_loss": rate + size / 1000 + 1 / epoch}
        for size in (16, 20)
        for rate in (0.01, 0.1)
        for epoch in (1, 2, 3)
    ]
    explorer.write(tmp_path / "page.html", pd.DataFrame(rows), axes=list(AXES), title="falling")
    opened(browser, (tmp_path / "page.html").as_uri())
    one(browser, "#tour-start").click()
    told = {one(browser, "#tour-title").text: one(browser, "#tour-text").text}
    for _ in range(5):
        one(browser, "#tour-next").click()
        told[one(browser, "#tour-title").text] = one(browser, "#tour-text").text
    assert list(told)[:4] == ["The highest loss", "Right", "At rest", "Side by side"]
    highest = told["The highest loss"]
    assert highest.startswith("With batch size 20, learning rate 0.1, the loss is still 0.453")
    assert "it does so in none" in told["At rest"]
    assert errors(browser) == []


@in_browser
def test_further_axes_are_menus(browser, tmp_path):  # noqa: F811
    histories = table(AXES | {"optimizer": ["adam", "sgd"]})
    explorer.write(tmp_path / "page.html", histories, axes=[*AXES, "optimizer"], title="three")
    opened(browser, (tmp_path / "page.html").as_uri())
    choose(browser, "#choose-optimizer", 1)
    assert one(browser, "#name-a").text.endswith("optimizer sgd")
    choose(browser, "#axis-x", 2)
    heads = [head.text for head in browser.find_elements("css selector", "#map thead th")]
    assert heads == ["adam", "sgd"]
    assert "kept no boxes" in one(browser, "#boxes-hint").text
    assert errors(browser) == []


@in_browser
def test_diverged_runs_have_no_tour_and_found_rates_no_line(browser, tmp_path):  # noqa: F811
    histories = table({"batch_size": [4, 16], "learning_rate": ["0.1", "auto"]})
    histories.loc[histories["epoch"] == EPOCHS, MEASURES] = np.nan
    explorer.write(tmp_path / "page.html", histories, axes=list(AXES), title="all diverged")
    opened(browser, (tmp_path / "page.html").as_uri())
    buttons = browser.find_elements("css selector", "#map button")
    assert [button.text for button in buttons] == ["diverged"] * 4
    assert not one(browser, "#tour-start").is_displayed()
    assert not one(browser, "#line-controls").is_displayed()
    assert errors(browser) == []
