import errno
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from optrack.search import Data, StorageError, Study
from optrack.search.pages import write
from optrack.search.report import render_report
from optrack.search.results.judgement import verdict

STAGES = ("begun", "searched", "retrained", "tested")
HOSTILE = "</script><script>document.title='broken out'</script>"
DRAWN = 'class="plot js-plotly-plot"'


class Outline(HTMLParser):
    """Collects headings, anchors, what a page refers to, and pictures without words."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.anchors: set[str] = set()
        self.references: list[str] = []
        self.wordless: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))
        if "id" in values:
            self.anchors.add(str(values["id"]))
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            if name in values:
                self.references.append(str(values[name]))
        if tag == "img" and not values.get("alt"):
            self.wordless.append(str(values.get("src")))


@pytest.fixture(scope="module")
def pages(results_of: Any) -> Mapping[str, str]:
    """The page of one study at every stage."""
    return {stage: render_report(results_of(stage), reference="my signs.py") for stage in STAGES}


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    return found


def text_of(page: str) -> str:
    """What people read, in one line."""
    without = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without)).split())


def plain(page: str) -> str:
    return re.sub(r"\s+([.,;:)])", r"\1", text_of(page))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_all_sections_and_headings_in_order(pages: Mapping[str, str], stage: str) -> None:
    found = outline(pages[stage])
    assert found.levels[0] == 1
    assert found.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    assert {"verdict", "searched", "across", "family-1", "family-2", "cost", "provenance"} <= found.anchors
    assert {anchor[1:] for anchor in found.references if anchor.startswith("#")} <= found.anchors
    assert found.wordless == []


@pytest.mark.parametrize(
    ("stage", "said", "command"),
    [
        ("begun", "No trial is finished yet.", "optrack run 'my signs.py'"),
        ("searched", "No verdict yet: beta leads the search with 95.00 %.", "optrack retrain 'my signs.py'"),
        ("retrained", "No verdict yet: beta leads the search with 95.00 %.", "optrack test 'my signs.py'"),
    ],
)
def test_what_is_not_there_yet_is_said_with_the_command_that_makes_it(
    pages: Mapping[str, str], stage: str, said: str, command: str
) -> None:
    answer = re.search(r'<div class="verdict">(.*?)</div>', pages[stage], re.DOTALL)
    assert answer is not None
    assert said in text_of(answer[1])
    assert command in text_of(answer[1])


def test_the_verdict_and_every_pair_are_said(pages: Mapping[str, str], results_of: Any) -> None:
    results = results_of("tested")
    found = verdict({family.name: family.tests for family in results.families}, by_validation=results.by_validation)
    text = text_of(pages["tested"])
    assert found.sentence in text
    assert len(found.comparisons) == 1
    assert all(comparison.sentence in text for comparison in found.comparisons)
    assert all(comparison.champions_sentence[1:] in text for comparison in found.comparisons)


def test_a_tested_family_stands_with_its_figures_beside_the_reference(pages: Mapping[str, str]) -> None:
    text = text_of(pages["tested"])
    assert "beta 95.00 % 96.50 % 90.89 to 99.12 % 96.00 % 90.16 to 98.43 % 88.00 % 89.00 % +7.50" in text
    assert "Reported for beta, alpha: report 7." in plain(pages["tested"])
    assert "beta 12,345 0.25 ms 1 min 15 s 2 4 8 4 min" in text


def test_the_page_needs_no_network(pages: Mapping[str, str]) -> None:
    page = pages["tested"]
    references = outline(page).references
    assert [ref for ref in references if not ref.startswith(("#", "data:image/png;base64,"))] == []
    assert sum(ref.startswith("data:") for ref in references) == 6
    assert not re.search(r"url\(|@import", re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL))
    assert "default-src 'none'" in page


def test_the_library_is_there_once_and_the_page_below_ten_megabytes(pages: Mapping[str, str]) -> None:
    from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingTypeStubs]

    for page in pages.values():
        assert page.count(get_plotlyjs()[:200]) == 1
        assert len(page.encode()) < 5_500_000  # the library alone is 4.8 million


def test_each_figure_has_its_data(pages: Mapping[str, str]) -> None:
    page = pages["tested"]
    data = re.search(r'<script[^>]*id="plots">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    heights = [plot["layout"]["height"] for plot in json.loads(data[1])]
    placed = re.findall(r'data-plot="(\d+)" style="height: (\d+)px', page)
    assert [int(number) for number, _ in placed] == list(range(len(heights)))
    assert [int(height) for _, height in placed] == heights
    assert len(heights) > 20


def test_hostile_text_is_escaped_everywhere(pages: Mapping[str, str], results_of: Any, study_of: Any) -> None:
    study: Study = study_of("alpha", "beta", data=Data(HOSTILE))
    hostile = results_of("tested", study=study, classes=(HOSTILE, "<b>bold</b>"))
    page = render_report(hostile, reference=HOSTILE)
    assert HOSTILE not in page
    assert "<b>" not in page.split('id="plots"')[0].rsplit("</style>")[-1]
    assert page.count("<script") == pages["tested"].count("<script")
    assert HOSTILE in text_of(page)


def test_a_password_of_the_tracking_server_is_not_shown(results_of: Any) -> None:
    results = replace(results_of("begun"), tracking_uri="postgresql://me:secret@server/db")
    page = render_report(results, reference="signs")
    assert "postgresql://me:***@server/db" in page
    assert "secret" not in page.split("<body>")[1].split("<script")[0]


def test_replicates_are_listed_with_the_noise_that_they_show(pages: Mapping[str, str]) -> None:
    text = text_of(pages["searched"])
    assert (
        "By chance alone validation accuracy has a standard deviation of 0.71 points (pooled, degrees of freedom: 1)"
        in text
    )
    assert "0, 3 95.00 %, 94.00 % 94.50 % 0.71 points" in text


def test_an_empty_study_has_a_page(results_of: Any) -> None:
    text = text_of(render_report(replace(results_of("begun"), families=()), reference="signs"))
    assert "No trial is finished yet." in text
    assert "Nothing was spent yet." in text


def test_a_page_is_replaced_whole_or_not_at_all(
    tmp_path: Path, results_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "report.html"
    path.parent.mkdir()
    page = render_report(results_of("begun", names=("alpha",)), reference="signs")
    write(path, page)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")

    def fail(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match=r"report.html cannot be written: no space"):
        write(path, page)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_a_browser_draws_what_is_unfolded_without_a_complaint(
    tmp_path: Path, pages: Mapping[str, str], browse: Callable[[str, Callable[[str], bool]], str]
) -> None:
    page = pages["tested"].replace("<details>", "<details open>", 1)
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    figures = page.count('class="plot"')
    folded = sum(part.count('class="plot"') for part in re.findall(r"<details>.*?</details>", page, re.DOTALL))
    assert 0 < folded < figures
    drawn = browse(path.as_uri(), lambda seen: seen.count(DRAWN) == figures - folded)
    assert "<title>signs: report</title>" in drawn


def test_trials_of_another_number_of_epochs_are_named_and_left_out(results_of: Any, stored_of: Any) -> None:
    results = results_of("retrained", names=("alpha",))
    [family] = results.families
    params = {"lr": 1e-3, "depth": 5, "optimizer": "adam"}
    stored = stored_of(
        results.study, "alpha", [(params, 0.75, {"planned_epochs": 1}), (params, 0.5, {"planned_epochs": 2})]
    )
    old, new = stored.all_trials
    for candidate, choice in ((old, "chosen before the study had 2 epochs"), (new, "the best of the search")):
        shown = replace(results, families=(replace(family, stored=stored, candidate=candidate),))
        text = text_of(render_report(shown, reference="signs.py"))
        assert "alpha: 1 trial of 1 epoch; not on this page, as a schedule of another length" in text
        assert "1 of 4 trials ended" in text
        assert "1 trial of other numbers of epochs took 1 min, beside all this" in text
        assert f"The configuration of trial {candidate.number}, {choice}" in text
