import re
from collections import Counter

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.datasets.folders.name_groups import suggest_groups
from optrack.datasets.store.groups import groups_of

hypothesis.settings.register_profile("optrack", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("optrack")

CLASSES = ("ants", "bees")
WORDS = st.text("abcdefghijklmnopqrstuvwxyz ", min_size=1, max_size=8).filter(lambda word: word.strip() == word)


@st.composite
def tracks(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Names of frames with the number of their track: at least five tracks a class, none with more than a fourth."""
    separator = draw(st.sampled_from("_-"))
    digits = draw(st.integers(1, 5))
    named: list[tuple[str, int]] = []
    for name in CLASSES:
        for track in range(draw(st.integers(5, 9))):
            frames = draw(st.integers(3, 4))
            named += [
                (f"{name}/{track:05}{separator}{frame:0{digits}}.ppm", len(named) + track * 1000) for frame in range(1)
            ]
            number = named[-1][1]
            named += [(f"{name}/{track:05}{separator}{frame:0{digits}}.ppm", number) for frame in range(1, frames)]
    return named


@given(tracks())
def test_frames_of_tracks_are_grouped_by_track_and_class(named: list[tuple[str, int]]) -> None:
    names = [name for name, _ in named]
    suggested = suggest_groups(names)
    assert suggested is not None
    found = groups_of(names, suggested.pattern).tolist()
    pairs = {(group, track) for group, (_, track) in zip(found, named, strict=True)}
    assert len(pairs) == len({group for group, _ in pairs}) == len({track for _, track in pairs}) == suggested.groups
    assert suggested.images == len(names)
    assert {dict(named)[name] for name in suggested.example} in [{track} for _, track in named]


@given(
    st.lists(st.tuples(st.integers(10**8, 10**10), st.integers(0, 16**10 - 1)), min_size=20, max_size=60, unique=True)
)
def test_names_as_flickr_gives_them_are_single_photographs(ids: list[tuple[int, int]]) -> None:
    hypothesis.assume(len({photo for photo, _ in ids}) == len(ids))
    assert suggest_groups([f"{CLASSES[photo % 2]}/{photo}_{secret:010x}.jpg" for photo, secret in ids]) is None


@given(
    prefix=st.sampled_from(["img_", "IMG-", "DSC_", "", "photo", "frame "]),
    digits=st.integers(1, 6),
    count=st.integers(2, 99),
)
def test_a_plain_counter_suggests_nothing(prefix: str, digits: int, count: int) -> None:
    assert suggest_groups([f"{name}/{prefix}{n:0{digits}}.jpg" for name in CLASSES for n in range(count)]) is None


@given(
    st.lists(WORDS, min_size=6, max_size=30, unique=True),
    st.sampled_from([" (1)", " (2)", " copy", " - Copy", " - Copy (3)"]),
)
def test_copies_that_a_desktop_made_stay_with_their_original(words: list[str], copy: str) -> None:
    hypothesis.assume(not any("copy" in word for word in words))
    names = [f"{name}/{word}.jpg" for name in CLASSES for word in words]
    copied = [f"ants/{words[0]}{copy}.jpg", f"bees/{words[1]}{copy}.jpg"]
    suggested = suggest_groups([*names, *copied])
    assert suggested is not None
    assert (suggested.groups, suggested.images) == (len(names), 4)
    groups = groups_of([*names, *copied], suggested.pattern).tolist()
    assert groups[len(names)] == groups[0]
    assert groups[len(names) + 1] == groups[len(words) + 1]


@given(st.lists(st.text(min_size=1, max_size=12).filter(lambda name: "/" not in name), max_size=40))
def test_a_suggestion_keeps_what_it_promises_whatever_the_names(files: list[str]) -> None:
    names = [f"{CLASSES[index % 2]}/{file}.png" for index, file in enumerate(files)]
    suggested = suggest_groups(names)
    if suggested is None:
        return
    groups: list[int] = groups_of(list(dict.fromkeys(names)), suggested.pattern).tolist()
    sizes = Counter(groups)
    assert suggested.groups == len(sizes)
    assert suggested.images == sum(size for size in sizes.values() if size > 1)
    first, second = (re.search(suggested.pattern, name) for name in suggested.example)
    assert first is not None
    assert second is not None
    assert first[1] == second[1]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([f"{c}/person{p}/{i}.jpg" for c in CLASSES for p in range(6) for i in range(4)], r"^(.+/.+)/[^/]+$"),
        (
            [f"{c}/p{p}_jpg.rf.{p * 7 + i:08x}.jpg" for c in CLASSES for p in range(9) for i in range(3)],
            r"^(.+)\.rf\.[^/]+$",
        ),
        (
            [f"{c}/house{p}{end}.jpg" for c in CLASSES for p in range(9) for end in ("", "_2", "_3")],
            r"^(.+?)(?:[_-]\d+)?\.[^./]+$",
        ),
    ],
    ids=["a folder for each person", "changed copies by Roboflow", "the first one without a number"],
)
def test_other_habits_are_known(names: list[str], pattern: str) -> None:
    suggested = suggest_groups(names)
    assert suggested is not None
    assert suggested.pattern == pattern


@pytest.mark.parametrize(
    "names",
    [
        [],
        [f"{c}/{c}_{n}.jpg" for c in CLASSES for n in range(50)],
        [f"{c}/n0212304{c[0]}_{n}.jpg" for c in CLASSES for n in range(50)],
        [f"{c}/part{p}/{n}.jpg" for c in CLASSES for p in range(2) for n in range(20)],
        [f"{c}/track{t}_{f}.jpg" for c in CLASSES for t in range(4) for f in range(9)],
        [f"{c}/{n}_0.jpg" for c in CLASSES for n in range(50)],
        [f"{c}/{n}.jpg" for c in CLASSES for n in range(50)] * 2,
    ],
    ids=[
        "nothing",
        "the class's name",
        "a number of its own",
        "halves",
        "too few tracks",
        "one frame each",
        "a counter in both parts",
    ],
)
def test_what_could_not_be_split_or_has_no_company_suggests_nothing(names: list[str]) -> None:
    assert suggest_groups(names) is None
