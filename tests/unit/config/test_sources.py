"""The sources of settings, and the warnings about unknown variables."""

import warnings
from pathlib import Path

import pytest

from config import Settings, SettingsError, load
from tests.unit.config.conftest import REDIS_URL, Loader


def api_key(settings: Settings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None


def write_env(folder: Path, *lines: str) -> None:
    (folder / ".env").write_text("\n".join([f"LIMNER_REDIS_URL={REDIS_URL}", *lines, ""]))


def test_env_file_is_read_from_the_working_directory(folder: Path) -> None:
    write_env(folder, "LIMNER_API_KEY=from-file", "LIMNER_CONCURRENCY=3")
    settings = load()
    assert (api_key(settings), settings.concurrency) == ("from-file", 3)


def test_a_secret_is_a_file_with_the_variable_s_lower_case_name(secrets: Path, load_with: Loader) -> None:
    (secrets / "limner_api_key").write_text("from-secret\n")
    assert api_key(load_with()) == "from-secret"


def test_the_environment_precedes_the_env_file_which_precedes_secrets(
    folder: Path, secrets: Path, load_with: Loader
) -> None:
    (secrets / "limner_api_key").write_text("from-secret")
    write_env(folder, "LIMNER_API_KEY=from-file")
    assert api_key(load()) == "from-file"
    assert api_key(load_with(API_KEY="from-environment")) == "from-environment"


def test_a_blank_variable_does_not_override_a_secret(folder: Path, secrets: Path, load_with: Loader) -> None:
    (secrets / "limner_api_key").write_text("from-secret")
    write_env(folder, "LIMNER_API_KEY=")
    assert api_key(load_with(API_KEY="")) == "from-secret"


def test_a_blank_secret_is_refused_by_name(secrets: Path, load_with: Loader) -> None:
    (secrets / "limner_api_key").write_text("\n")
    with pytest.raises(SettingsError, match=r"^LIMNER_API_KEY: "):
        load_with()


def test_a_configured_secrets_folder_must_exist(load_with: Loader) -> None:
    with pytest.raises(SettingsError, match=r"^LIMNER_SECRETS_DIR: there is no folder nowhere$"):
        load_with(SECRETS_DIR="nowhere")


def test_a_blank_secrets_folder_means_the_default_one(folder: Path, load_with: Loader) -> None:
    (folder / "limner_api_key").write_text("not-a-secret")
    assert api_key(load_with(SECRETS_DIR="")) is None


def test_an_unreadable_secret_is_refused_with_its_name(
    secrets: Path, load_with: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "limner_api_key").write_text("key")

    def refused(self: Path, *_args: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    # Root can read every file, so the test raises the kernel's error for other users.
    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(SettingsError, match=r"limner_api_key: cannot be read \(Permission denied\)$"):
        load_with()


@pytest.mark.parametrize("name", [".env", "secrets/limner_api_key"])
def test_a_file_that_is_not_utf_8_is_refused(
    folder: Path, secrets: Path, load_with: Loader, name: str
) -> None:
    (folder / name).write_bytes(b"LIMNER_API_KEY=\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load_with()


def test_a_misspelt_variable_causes_a_warning_with_the_right_name(load_with: Loader) -> None:
    with pytest.warns(
        UserWarning, match=r"^LIMNER_RATE_REQUEST: .*no such setting; did you mean LIMNER_RATE_REQUESTS\?$"
    ):
        load_with(RATE_REQUEST="3")


def test_misspelt_names_in_the_env_file_and_in_secrets_cause_warnings(
    folder: Path, secrets: Path, load_with: Loader
) -> None:
    write_env(folder, "LIMNER_CONCURENCY=3", "REDIS_PORT=6380")
    (secrets / "limner_apikey").write_text("key")
    with pytest.warns(UserWarning, match="LIMNER_") as caught:
        load_with()
    assert {str(warning.message).split(":")[0] for warning in caught} == {
        "LIMNER_CONCURENCY",
        "LIMNER_APIKEY",
    }


def test_valid_names_and_names_of_other_programs_cause_no_warning(
    folder: Path, secrets: Path, load_with: Loader
) -> None:
    write_env(folder, "LIMNER_API_KEY=key", "REDIS_PORT=6380")
    (secrets / "database_password").write_text("theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_with(CONCURRENCY="3")


@pytest.mark.parametrize("name", ["ACCOUNTS", "CREDITS_PER_LANE_DAY", "USUAL_SECONDS"])
def test_invalid_json_is_reported_by_variable_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("LIMNER_API_KEY", "key")
    monkeypatch.setenv(f"LIMNER_{name}", '{"north": {"api_key": "secret"')
    with pytest.raises(SettingsError, match=rf"^LIMNER_{name}: must be JSON$"):
        load()
