"""Secrets on command lines."""

import shlex

import pytest

from envbuild.records.redaction import redacted, redacted_text

TOKEN = "hf_" + "aB3dE5fG7hI9jK1lM"
GITHUB = "ghp_" + "0123456789abcdefABCD"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("train --token=x1", "train --token=***"),
        ("train --token x1 --lr 0.1", "train --token *** --lr 0.1"),
        ("train --hf-token x1", "train --hf-token ***"),
        ("train --apiKey x1", "train --apiKey ***"),
        ("train --api_key=x1", "train --api_key=***"),
        ("train -password x1", "train -password ***"),
        ("train --password= next", "train --password= next"),
        ("train --db.password=x1", "train --db.password=***"),
        ("train +trainer.logger.api_key=x1", "train +trainer.logger.api_key=***"),
        ("env WANDB_API_KEY=x1 python a.py", "env WANDB_API_KEY=*** python a.py"),
        ("env AWS_SECRET_ACCESS_KEY=a/b+c= python", "env AWS_SECRET_ACCESS_KEY=*** python"),
        ("env GITHUB_PAT=x1 python", "env GITHUB_PAT=*** python"),
        ("env SIGNING_KEY=x python", "env SIGNING_KEY=*** python"),
        ("'--password=two words' a", "'--password=***' a"),
        (f"train {TOKEN}", "train ***"),
        (f"train --name={TOKEN}", "train --name=***"),
        (f"train {JWT}", "train ***"),
        ("train AKIAIOSFODNN7EXAMPLE", "train ***"),
        ("train sk-abcdefghijklmnop1234", "train ***"),
        ("train --hub-key a1b2c3d4e5f6a7b8c9", "train --hub-key a1b2c3d4e5f6a7b8c9"),
        ("train --hub-key=a1b2c3d4e5f6a7b8c9", "train --hub-key=***"),
        ("git clone https://me:x1@host/a.git", "git clone 'https://***@host/a.git'"),
        ("git clone https://x1@host/a.git", "git clone 'https://***@host/a.git'"),
        ("curl 'https://host/a?token=x1&b=2'", "curl 'https://host/a?token=***&b=2'"),
        (
            "curl 'https://host/a?X-Amz-Signature=0a1b2c3d4e5f6a7b8c9d&b=2'",
            "curl 'https://host/a?X-Amz-Signature=***&b=2'",
        ),
        ("curl -u me:x1 https://host", "curl -u *** https://host"),
        ("curl -ume:x1 https://host", "curl '-u***' https://host"),
        ("curl -H 'Authorization: Bearer abcdef123' host", "curl -H 'Authorization:***' host"),
        ("sshpass -p x1 ssh host", "sshpass -p *** ssh host"),
        ("mysql -px1", "mysql '-p***'"),
        ("wandb login 0123456789", "wandb login ***"),
        (
            "sh -c 'cd a; TOKEN=x1 python a.py --password x2; echo'",
            "sh -c 'cd a; TOKEN=*** python a.py --password ***; echo'",
        ),
        ("""python -c 'login(token="x1", name="n")'""", """python -c 'login(token="***", name="n")'"""),
        ("""curl -d '{"api_key": "x1", "a": 1}'""", """curl -d '{"api_key": "***", "a": 1}'"""),
        ("""python -c "os.environ['API_KEY'] = 'x1'" """, """python -c "os.environ['API_KEY'] = '***'" """),
        ("a '-----BEGIN RSA PRIVATE KEY-----\nabc'", "a ***"),
    ],
)
def test_what_looks_like_a_secret_is_replaced(command: str, expected: str) -> None:
    words, found = redacted(shlex.split(command))
    assert list(words) == shlex.split(expected)
    assert found == (shlex.split(command) != shlex.split(expected))


@pytest.mark.parametrize(
    "command",
    [
        "python train.py --lr 0.1 --seed 7 -p 8080",
        "python train.py --max-tokens 100 --tokenizer bert-base --pad-token '<pad>' --num_tokens=5",
        "python train.py --token-embedding-dim=512 --sort-key name --passes 3 --n-pass 2",
        "python train.py --use-auth-token train.json --password-file /run/secret --author me",
        "python train.py --auth none --no-auth data --token=$HF_TOKEN pin_memory=1 --api-key=none",
        'python -c \'print({"a": 1, "monkey": 2})\'',
        "pytest tests/test_a.py::test_token -k 'keyword'",
        "git clone https://host/a.git",
        "dvc pull -r git@host:org/repo",
        "docker run -p",
    ],
)
def test_what_is_no_secret_stays(command: str) -> None:
    words = shlex.split(command)
    assert redacted(words) == (tuple(words), False)


@pytest.mark.parametrize(
    "secret", [TOKEN, GITHUB, JWT, "xoxb-123456789012-abc", "glpat-abcdefghijklmnop1234"]
)
@pytest.mark.parametrize("place", ["{}", "a={}", "'{}'", "x,{},y", "f({})", "https://h/{}/a", "\n{}\n"])
def test_a_known_form_is_found_anywhere(secret: str, place: str) -> None:
    assert secret not in redacted_text(place.format(secret))


def test_what_was_replaced_stays_as_it_is() -> None:
    words = ("curl", "-u", "a:b", "--token=x", "https://u:p@h/?sig=0a1b2c3d4e5f6a7b8c9d")
    once, _ = redacted(words)
    assert redacted(once) == (once, False)


def test_long_text_takes_no_time_that_grows_with_its_square() -> None:
    # a regular expression that backtracks would not come to an end
    for piece in ("a=", "--a ", "://", "-----BEGIN PRIVATE KEY", "eyJ.", '"', "bearer "):
        redacted_text(piece * 20_000)


@pytest.mark.parametrize(
    "word", ["xoxb-0123456789", "ya29.0123456789", "xapp-0123456789", "sk_live_0123456789"]
)
def test_the_shortest_tokens_are_found(word: str) -> None:
    assert redacted(["train", word, "ab.py"]) == (("train", "***", "ab.py"), True)
