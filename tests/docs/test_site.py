"""The guide as it is built: nothing is missing in it, and nothing is fetched from elsewhere when it is read."""

import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]

# What a browser loads by itself; a link in the text is followed by people alone.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
# Read by search engines and feed readers, and not loaded.
NOT_LOADED = {"canonical", "prev", "next", "alternate"}


class Page(HTMLParser):
    """The addresses in a page, the anchors that it has, and images without a description."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.undescribed: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get("id") or "")
        address = values.get(LOADED.get(tag, ""))
        if address and not NOT_LOADED & set((values.get("rel") or "").split()):
            self.loaded.append(address)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if tag == "img" and not values.get("alt") and "twemoji" not in str(values.get("class")):
            self.undescribed.append(address or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The built pages by their files."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    return {file: Page(file) for file in folder.rglob("*.html")}


@pytest.mark.slow
def test_every_page_of_the_guide_is_built(site: dict[Path, Page]) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    folder = next(file.parent for file in site if file.name == "404.html")
    assert {file.relative_to(folder).with_suffix("") for file in site} == sources | {Path("404")}


@pytest.mark.slow
def test_links_and_anchors_lead_somewhere(site: dict[Path, Page]) -> None:
    broken: list[str] = []
    for file, page in site.items():
        if file.name == "404.html":  # it is shown at any address, so its links count from the root
            continue
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file() or (parts.fragment and parts.fragment not in site[target].anchors):
                broken.append(f"{file.name}: {address}")
    assert broken == []


@pytest.mark.slow
def test_a_page_loads_nothing_from_other_machines(site: dict[Path, Page]) -> None:
    assert [address for page in site.values() for address in page.loaded if urlsplit(address).netloc] == []
    folder = next(file.parent for file in site if file.name == "404.html")
    styles = "".join(file.read_text() for file in folder.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", styles) == []


@pytest.mark.slow
def test_the_reference_of_the_study_file_says_types_and_ranges_in_words(site: dict[Path, Page]) -> None:
    page = next(file for file in site if file.name == "study-file.html")
    text = " ".join(unescape(re.sub(r"<[^>]+>", "", page.read_text())).split())
    assert "patience int, >= 1, or None epochs without improvement" in text
    assert "metric Literal['val_accuracy', 'val_loss'] what is compared" in text
    assert ">>> Int(2, 8, step=2).contains(5) False" in text
    assert "Annotated" not in text.partition("Names of types")[0]


@pytest.mark.slow
def test_every_picture_says_what_is_in_it_and_is_small(site: dict[Path, Page]) -> None:
    assert [address for page in site.values() for address in page.undescribed] == []
    assert [file.name for file in (ROOT / "docs/images").iterdir() if file.stat().st_size > 200_000] == []


def test_every_picture_is_used() -> None:
    text = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [file.name for file in (ROOT / "docs/images").iterdir() if f"images/{file.name})" not in text] == []


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []
