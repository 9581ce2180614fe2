"""Which variables are taken for secrets, and which values are masked."""

from __future__ import annotations

import pytest

from orchestrator.base.redaction import looks_secret, secret_values


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "token",
        "DB_PASSWORD",
        "PGPASSWORD",
        "SIGNING_PASSPHRASE",
        "OPENAI_API_KEY",
        "APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING",
        "SECRET_KEY_BASE",
        "SSH_PRIVATE_KEY",
        "DEPLOY_KEY",
        "FOO_CREDENTIALS",
        "npm_config_//registry.example/:_authToken",
        "NPM_CONFIG__AUTH",
        "NEXUS_PSW",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "FTP_PASS",
        "MYSQL_PWD",
        "TWINE_PASSWORD",
    ],
)
def test_secret_names(name: str) -> None:
    """Names that end in, or hold, a word for a secret are taken for secret."""
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "TOKENIZERS_PARALLELISM",
        "SSH_AUTH_SOCK",
        "XAUTHORITY",
        "KEYBOARD",
        "GIT_AUTHOR_NAME",
        "GIT_ASKPASS",
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "PASSWORD_STORE_DIR",
        "PASS_RATE",
        "MAX_TOKENS",
        "CACHE_KEY",
        "PUBLIC_KEY",
        "GPG_KEY",
        "TOKEN_URL",
        "NEXUS_CREDS_USR",
        "PWD",
        "OLDPWD",
        "SECRETARY",
        "COMPASS",
        "PATH",
        "",
        "__",
    ],
)
def test_harmless_names(name: str) -> None:
    """Names that only sound like a secret, or name where one is kept, are left alone."""
    assert not looks_secret(name)


def test_named_and_patterns() -> None:
    """Variables that the config names, by name or by pattern, are masked whatever they are called."""
    env = {"DEPLOY": "value-one", "RELEASE_A": "value-two", "OTHER": "value-three"}
    assert set(secret_values(env, ["DEPLOY", "RELEASE_*"])) == {"value-one", "value-two"}


def test_passwords_of_urls() -> None:
    """The password inside a URL is masked as it is written and as it is meant; user and host are not."""
    env = {
        "PIP_INDEX_URL": "https://deploy:s3cr%2Ft-pw@index.example/simple",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "REMOTE": "ssh://git@host.example/a:b@c",
    }
    assert set(secret_values(env)) == {"s3cr%2Ft-pw", "s3cr/t-pw"}


def test_short_values_are_not_masked() -> None:
    """Values of less than 6 bytes of UTF-8 are in every output by chance: they are not masked."""
    env = {"A_TOKEN": "12345", "B_TOKEN": "äöü", "C_TOKEN": "", "URL": "http://u:pw@host/", "Z_TOKEN": "123456"}
    assert set(secret_values(env)) == {"äöü", "123456"}


def test_lines_of_a_value() -> None:
    """Of a value of several lines each line counts too, but no short one and none without a letter or digit."""
    value = "-----------\n  first line  \nx\nsecond line\n"
    assert set(secret_values({"A_SECRET": value})) == {value.strip(), "first line", "second line"}


def test_longest_first_and_white_space() -> None:
    """Values come longest first, without white space around them, and one of white space only is none."""
    env = {"A_TOKEN": " abcdef\n", "B_TOKEN": "abcdefgh", "C_TOKEN": " " * 20, "D_TOKEN": "ab      "}
    assert secret_values(env) == ("ab      ", "abcdefgh", "abcdef")
