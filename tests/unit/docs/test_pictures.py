"""The pictures of the documents: they can be drawn anywhere, and load nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.harness import REPOSITORY

PICTURES = sorted((REPOSITORY / "docs/images").glob("*.svg"))


@pytest.mark.parametrize("name", ["start", "status", "chrome-trace"])
def test_a_picture_is_whole_and_small(name: str) -> None:
    """An SVG of at most 64 KiB that refers to nothing outside of it, and is shown in a document."""
    (path,) = (picture for picture in PICTURES if picture.stem == name)
    text = path.read_text(encoding="utf-8")
    assert len(text) < 64 * 1024
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "@font-face" not in text
    assert not [element for element in root.iter() if any(key.endswith("href") for key in element.attrib)]
    documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    assert any(f"images/{name}.svg)" in document.read_text(encoding="utf-8") for document in documents)
