"""Who is calling, and how a container gets to know it."""

import os

import pytest

from envbuild.image.accounts import caller, numeric_account, outside_id, with_account
from envbuild.image.container_options import Account

PASSWD = (
    b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/x\nann:x:1000:1000::/home/ann:/x\n"
)
GROUP = b"root:x:0:\nann:x:1000:\n"


def test_the_caller_is_this_process() -> None:
    found = caller()
    assert found is not None
    assert (found.uid, found.gid) == (os.geteuid(), os.getegid())
    assert found.gid not in dict(found.groups)


def test_a_user_whom_the_image_does_not_know() -> None:
    account = Account(uid=1234, gid=50, name="ben", groups=((77, "team"), (1000, "mine")))
    files = with_account(PASSWD, GROUP, account, own_home=True)
    assert files.passwd == PASSWD + b"ben:x:1234:50::/home/ben:/bin/sh\n"
    # a number that has a name keeps it
    assert files.group == GROUP + b"ben:x:50:\nteam:x:77:\n"
    assert files.home == "/home/ben"


def test_names_that_the_image_has_for_others() -> None:
    files = with_account(PASSWD, GROUP, Account(uid=1234, gid=1234, name="ann"), own_home=True)
    assert files.passwd.endswith(b"\nann2:x:1234:1234::/home/ann2:/bin/sh\n")
    assert files.group.endswith(b"\nann2:x:1234:\n")


def test_a_user_whom_the_image_knows_keeps_the_name() -> None:
    nobody = Account(uid=65534, gid=65534, name="me")
    files = with_account(PASSWD, GROUP, nobody, own_home=True)
    assert b"\nnobody:x:65534:65534::/home/nobody:/x\n" in files.passwd
    assert files.home == "/home/nobody"
    kept = with_account(PASSWD, GROUP, nobody, own_home=False)
    assert (kept.passwd, kept.home) == (PASSWD, "/nonexistent")


def test_an_image_without_accounts() -> None:
    files = with_account(b"", b"", Account(uid=5, gid=6, name="user"), own_home=False)
    assert (files.passwd, files.group) == (b"user:x:5:6::/home/user:/bin/sh\n", b"user:x:6:\n")


def test_lines_that_are_no_accounts_stay() -> None:
    odd = b"+::::::\n\xff:x\n\n"
    files = with_account(odd, odd, Account(uid=5, gid=6, name="user"), own_home=False)
    assert files.passwd == odd + b"user:x:5:6::/home/user:/bin/sh\n"


def test_a_name_that_is_a_path_is_no_name_of_a_home() -> None:
    files = with_account(b"../etc:x:5:5::/:/x\n", b"", Account(uid=5, gid=5, name="me"), own_home=True)
    assert files.home == "/home/me"


def test_only_line_feeds_end_lines() -> None:
    odd = "ann:x:7:7:A\x0bnn\u2028\x85\x1c:/:/x\n".encode()
    files = with_account(odd, b"", Account(uid=5, gid=5, name="me"), own_home=True)
    assert files.passwd.startswith(odd)


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("1000", (1000, 0)),
        ("1:2", (1, 2)),
        ("app", None),
        ("1:app", None),
        ("", None),
        ("-1", None),
        ("9" * 11, None),
        ("9" * 5000, None),
        ("٣", None),
    ],
)
def test_users_by_number(user: str, ids: tuple[int, int] | None) -> None:
    found = numeric_account(user)
    assert (None if found is None else (found.uid, found.gid)) == ids


def test_ids_outside_a_namespace() -> None:
    single = "         0       1000          1\n"
    assert (outside_id(0, single), outside_id(1, single)) == (1000, None)
    ranges = "0 1000 1\n1 100000 65536\n"
    assert (outside_id(0, ranges), outside_id(33, ranges)) == (1000, 100032)
    assert outside_id(1234, "0 0 4294967295\n") == 1234
