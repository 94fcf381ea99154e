"""What is said of a release in several places is the same everywhere."""

import re
import tomllib
from pathlib import Path

from keras_efgsm import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def cited(name):
    """A value of the citation file, which holds the version by itself."""
    (line,) = re.findall(rf"^{name}: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    return line.strip('"')


def test_the_newest_release_of_the_changelog_is_this_version_and_the_cited_one():
    releases = re.findall(r"^## \[([\d.]+)\] - (\S+)$", CHANGELOG, re.MULTILINE)
    assert releases[0] == (__version__, cited("date-released"))
    assert cited("version") == __version__
    assert cited("license") == PROJECT["license"]


def test_the_changelog_names_the_kinds_of_changes_by_the_words_that_all_use():
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for release in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        found = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert set(found) <= kinds and len(set(found)) == len(found)


def test_the_container_has_what_it_copies_and_runs_a_command_that_there_is():
    text = (ROOT / "Containerfile").read_text()
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in names.split():
            assert (ROOT / name).exists() and f"!{name}" in let_through
    (command,) = re.findall(r'^ENTRYPOINT \["(.+)"\]$', text, re.MULTILINE)
    assert command in PROJECT["scripts"]
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)$", text, re.MULTILINE)
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    oldest = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    for version in re.findall(r"^FROM python:([\d.]+)-slim", text, re.MULTILINE):
        assert tuple(map(int, version.split("."))) >= oldest
    # It does not run as root.
    assert text.index("\nUSER ") < text.index("\nENTRYPOINT ")


def test_everything_that_is_packed_with_the_sources_is_there():
    for line in (ROOT / "MANIFEST.in").read_text().splitlines():
        kind, *names = line.split()
        if kind == "include":
            assert [name for name in names if not (ROOT / name).is_file()] == []
        elif kind == "recursive-include":
            folder, *patterns = names
            assert all(any((ROOT / folder).rglob(pattern)) for pattern in patterns)


def test_every_requirement_has_a_lower_bound():
    """Without one `install_matrix.py --lowest` tries the first version that there ever was."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    named = [text for group in groups for text in group if not text.startswith("keras-efgsm[")]
    assert len(named) > 20
    assert [text for text in named if ">=" not in text] == []
