import pytest

from envbuild.errors import LockError, UsageError
from envbuild.lock.target_choice import select_target
from envbuild.platforms import AMD64, ARM64
from tests.rig.locks import sample_lock


def lock_of(*targets):
    lock = sample_lock()
    made = tuple(
        lock.targets[0].model_copy(update={"variant": variant, "platform": platform})
        for variant, platform in targets
    )
    return lock.model_copy(update={"targets": made})


MANY = lock_of(("cpu", "linux/amd64"), ("default", "linux/amd64"), ("default", "linux/arm64"))


def test_the_platform_follows_the_machine_and_the_variant_the_spec():
    chosen = select_target(MANY, variant=None, platform=None, host=ARM64)
    assert (chosen.variant, chosen.platform) == ("default", "linux/arm64")


def test_the_only_platform_serves_any_machine():
    assert select_target(MANY, variant="cpu", platform=None, host=ARM64).platform == "linux/amd64"


def test_a_machine_without_target_must_choose():
    with pytest.raises(LockError) as caught:
        select_target(MANY, variant=None, platform=None, host=None)
    assert caught.value.hint == "name one with --platform: linux/amd64, linux/arm64"


@pytest.mark.parametrize(
    ("variant", "platform", "message"),
    [
        ("gpu", None, "the lock has no variant `gpu`"),
        ("cpu", "linux/arm64", "the lock has no platform `linux/arm64` for variant `cpu`"),
    ],
)
def test_what_is_not_locked_is_refused(variant, platform, message):
    with pytest.raises(UsageError) as caught:
        select_target(MANY, variant=variant, platform=platform, host=AMD64)
    assert caught.value.message == message
