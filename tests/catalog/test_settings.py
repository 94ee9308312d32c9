"""Settings: where values come from, and what is said about wrong ones."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog import SettingsError
from voxledger.catalog.settings import FILE_NAME, format_span, is_secret, load, names, parse_size, parse_span, variable


def _write(home: Path, content: str) -> Path:
    (home / FILE_NAME).write_text(content, encoding="utf-8")
    return home


def test_the_call_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    home = _write(tmp_path, "[general]\nactor = 'file'\ntime_zone = 'Asia/Tokyo'\n[synth]\nengine = 'file'\n")
    environ = {"VOXLEDGER_GENERAL_ACTOR": "environment", "VOXLEDGER_GENERAL_TIME_ZONE": "Europe/Berlin"}
    found = load(home, overrides={"general_actor": "call"}, environ=environ)
    assert (found.settings.general.actor, found.settings.general.time_zone) == ("call", "Europe/Berlin")
    assert found.settings.synth.engine == "file"
    assert found.origin["general.actor"] == "call"
    assert found.origin["general.time_zone"] == "VOXLEDGER_GENERAL_TIME_ZONE"
    assert found.origin["synth.engine"] == FILE_NAME
    assert found.origin["synth.max_text"] == "default"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"store_endpiont": "x"}, "did you mean 'store.endpoint'"),
        ({"store.upload_threads": 0}, "store.upload_threads"),
        ({"general.min_free_disk": "lots"}, "is no size"),
        ({"retention.grace": "a while"}, "is no time span"),
        ({"general.time_zone": "Mars/Olympus"}, "no IANA time zone"),
        ({"store.key": "{actor}"}, "must hold {clip}"),
        ({"store.key": "{clip}/{secret}"}, "must hold {clip}"),
        ({"store.endpoint": "localhost"}, "is no URL"),
        ({"mixpanel.region": "moon"}, "mixpanel.region"),
        ({"mail.to": ["ann"], "mail.host": "h"}, "mail.to: 'ann' is no address"),
        ({"mail.to": ["ann@x.org\nBcc: all@x.org"], "mail.host": "h"}, "is no address"),
        ({"mail.to": ['["ann@x.org"'], "mail.host": "h"}, "is no address"),
        ({"mail.to": "'ann@x.org'", "mail.host": "h"}, "is no address"),
        ({"mail.to": '["ann@x.org", "bob@x.org', "mail.host": "h"}, 'write a list as `a, b` or as `\\["a", "b"\\]`'),
        ({"mail.to": ["ann@x.org"]}, "mail.host names no server"),
        ({"mail.password": "x"}, "mail.user says nobody"),
        ({"mail.user": "ann", "mail.security": "none"}, "in the open"),
        ({"webhook.url": "hooks.example.org"}, "webhook.url is no URL"),
        ({"webhook.link": "8d"}, "longer than 7d"),
        ({"retention.rules": [{"name": "x"}]}, "keep_for"),
        ({"retention.rules": [{"name": "x", "keep_for": "3d", "colour": "red"}]}, "colour"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(tmp_path: Path, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("{", "\\{").replace("}", "\\}").replace(".", "\\.")):
        load(tmp_path, overrides=overrides, environ={})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[general\n", "not valid TOML"),
        ("[genral]\nactor = 'x'\n", "did you mean 'general.actor'"),
        ("actor = 'x'\n", "stands outside a section"),
        ("[synth]\nmax_text = 'many'\n", "synth.max_text"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(_write(tmp_path, content), environ={})


def test_a_misspelt_variable_is_not_ignored(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean VOXLEDGER_STORE_ENDPOINT"):
        load(tmp_path, environ={"VOXLEDGER_STORE_ENDPONT": "http://127.0.0.1:9000"})
    assert load(tmp_path, environ={"VOXLEDGER_HOME": "/x", "VOXLEDGER_SOAK": "1"}).settings.store.endpoint == ""


def test_a_wrong_secret_is_never_repeated(tmp_path: Path) -> None:
    for name, value in (("store.secret_key", ["hunter2"]), ("webhook.url", "ftp://hooks/hunter2")):
        with pytest.raises(SettingsError) as caught:
            load(tmp_path, overrides={name: value}, environ={})
        assert "hunter2" not in str(caught.value)


def test_all_keys_and_tokens_are_secret() -> None:
    secret = {name for name in names() if is_secret(name)}
    assert secret == {
        "store.access_key", "store.secret_key", "mixpanel.token", "mixpanel.service_secret", "mixpanel.gdpr_token", "backup.key",
        "backup.vault_key", "backup.access_key", "backup.secret_key", "mail.password", "webhook.url",
    }  # fmt: skip


def test_every_setting_says_what_it_means() -> None:
    folder = files("voxledger.catalog").joinpath("settings")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name.endswith(".py")]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    for section in (node for node in classes if node.name not in ("Loaded", "Section")):
        for here, after in zip(section.body, [*section.body[1:], None], strict=True):
            if isinstance(here, ast.AnnAssign) and section.name != "Settings":
                assert isinstance(after, ast.Expr), f"{section.name}.{ast.unparse(here.target)} has no description"


def test_no_two_settings_share_a_variable() -> None:
    assert len({variable(name) for name in names()}) == len(names())


@given(st.integers(0, 10**9))
def test_a_span_survives_being_written(seconds: int) -> None:
    assert parse_span(format_span(seconds)) == pytest.approx(seconds)


def test_sizes_and_spans_are_read_as_people_write_them() -> None:
    assert [parse_size(text) for text in ("500MB", "2 GiB", "17", "1.5kB")] == [500_000_000, 2 * 2**30, 17, 1500]
    assert [parse_span(text) for text in ("90s", "15min", "7d", "1d12h", "250ms", "2w")] == [
        90,
        900,
        604800,
        129600,
        0.25,
        1209600,
    ]


def test_lists_are_written_with_commas_in_the_environment_and_as_lists_in_the_file(tmp_path: Path) -> None:
    home = _write(tmp_path, "[remote]\nvoices = ['alloy', 'nova']\nfields = ['seed']\n")
    assert load(home, environ={}).settings.remote.voices == ("alloy", "nova")
    mailed = {"VOXLEDGER_MAIL_TO": '["o\'brien@x.org", "c@y.org"]', "VOXLEDGER_MAIL_HOST": "h"}
    assert load(home, environ=mailed).settings.mail.to == ("o'brien@x.org", "c@y.org")
    found = load(home, environ={"VOXLEDGER_REMOTE_VOICES": " ann, bob,", "VOXLEDGER_REMOTE_FIELDS": ""})
    assert (found.settings.remote.voices, found.settings.remote.fields) == (("ann", "bob"), ())
    with pytest.raises(SettingsError, match=r"remote\.fields"):
        load(home, environ={"VOXLEDGER_REMOTE_FIELDS": "seed,salt"})


def test_folders_that_are_not_absolute_lie_in_home(tmp_path: Path) -> None:
    found = load(tmp_path, environ={"VOXLEDGER_INDEXTTS_STATE": "/var/lib/indextts"}).settings.indextts
    assert found.model_dir == str(tmp_path / "models" / "indextts-2.5")
    assert found.state == "/var/lib/indextts"
