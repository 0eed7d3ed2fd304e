"""Rules, as they are read."""

from pathlib import Path

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import InvalidFault, Rule, load, rule


def test_faults_come_from_text_or_from_a_file(tmp_path: Path) -> None:
    written = tmp_path / "faults.json"
    written.write_text('{"stuck": 0.5}')
    assert load('{"stuck": 0.5}') == load(str(written)) == {"stuck": 0.5}
    assert load("") == {}
    with pytest.raises(InvalidFault, match="JSON object"):
        load(_list_file(tmp_path))


def _list_file(folder: Path) -> str:
    (folder / "list.json").write_text("[]")
    return str(folder / "list.json")


def test_a_variant_belongs_to_its_fault() -> None:
    assert rule(Fault.HTML_BEFORE, {"variant": "525"}) == Rule(probability=1.0, variant="525")
    with pytest.raises(InvalidFault, match=r"html_before: no such variant\. There are: 502, 503"):
        rule(Fault.HTML_BEFORE, {"variant": "moderation"})
