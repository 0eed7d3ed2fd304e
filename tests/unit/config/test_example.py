"""The example file .env.example, which must show every setting with its default."""

import re

from config import Settings
from tests.repository import ROOT

EXAMPLE = ROOT / ".env.example"
SETTING = re.compile(r"^#?(LIMNER_\w+)=(.*)$", re.MULTILINE)


def shown() -> dict[str, str]:
    return {
        name.removeprefix("LIMNER_").lower(): value for name, value in SETTING.findall(EXAMPLE.read_text())
    }


def test_the_example_lists_every_setting_once() -> None:
    names = [name for name, _ in SETTING.findall(EXAMPLE.read_text())]
    assert sorted(names) == sorted("LIMNER_" + name.upper() for name in Settings.model_fields)


def test_the_values_in_the_example_are_the_defaults() -> None:
    values = {name: value for name, value in shown().items() if value}
    written_out = Settings.model_validate(values)
    by_default = Settings.model_validate({"redis_url": values["redis_url"]})
    # The default heartbeat file depends on the machine's temporary folder.
    apart = {"heartbeat_file"}
    assert written_out.model_dump(exclude=apart) == by_default.model_dump(exclude=apart)


def test_the_example_sets_only_the_required_variables_and_no_key() -> None:
    text = EXAMPLE.read_text()
    active = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
    assert dict(active) == {"LIMNER_REDIS_URL": "redis://127.0.0.1:6379/0", "LIMNER_API_KEY": ""}


def test_every_setting_has_a_comment_above_it() -> None:
    for block in EXAMPLE.read_text().split("\n\n"):
        if SETTING.search(block):
            assert block.startswith("# "), block


def test_only_these_settings_have_no_value() -> None:
    blank = {name for name, value in shown().items() if not value}
    assert blank == {
        "broker_url",
        "result_url",
        "queue",
        "api_key",
        "accounts",
        "usual_seconds",
        "callback_url",
        "callback_hmac_key",
        "credits_per_day",
        "credits_per_lane_day",
        "copy_to",
        "copy_url",
        "copy_endpoint",
        "copy_region",
        "copy_plain_hosts",
        "copy_proxy",
        "rescue_folder",
    }
