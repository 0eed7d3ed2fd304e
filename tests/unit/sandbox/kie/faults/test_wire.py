"""JSON with a number that Python cannot write."""

import json

from sandbox.kie.faults.wire import INFINITE, encoded


def test_infinity_is_a_number_that_json_allows() -> None:
    assert encoded({"a": INFINITE, "b": [INFINITE, 1]}) == b'{"a": 1e400, "b": [1e400, 1]}'


def test_a_text_that_quotes_the_stand_in_stays_a_text() -> None:
    quoted = json.dumps({"prompt": INFINITE})
    assert json.loads(encoded({"param": quoted})) == {"param": quoted}
