import re
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.formats import bytecode, wheel_files
from envbuild.lock.identity import RECIPE_FORMAT
from envbuild.render.recipe import FETCHES_PER_STAGE, PYTHON_SCRIPT, plan_seed, render_recipe
from envbuild.render.templates import quote_dockerfile, template_folder
from envbuild.verify.probe_bundle import build_probe
from tests.rig.locks import conda_lock, deb, image_base, sample_lock, wheel

PROBE = b"the probe"


def recipe_of(lock):
    return render_recipe(lock, lock.targets[0], probe=PROBE)


@pytest.mark.parametrize(
    ("lock", "name"),
    [
        (sample_lock(), "packages"),
        (sample_lock(image_base()), "image"),
        (conda_lock(), "conda"),
    ],
    ids=["packages", "image", "conda"],
)
def test_dockerfile_is_the_golden_one(lock, name, golden):
    golden(f"Dockerfile.{name}.format-{RECIPE_FORMAT}", recipe_of(lock).files["Dockerfile"].decode())


def test_what_goes_into_images_is_the_golden_one(golden):
    """A change here changes images under an unchanged tag: released formats need a new number."""
    files = recipe_of(sample_lock()).files | recipe_of(conda_lock()).files
    files |= {"envbuild/probe.pyz": build_probe()}
    carried = sorted(name for name in files if name.startswith("recipe/") or name.endswith(".pyz"))
    lines = [f"{sha256_bytes(files[name])}  {name}\n" for name in carried]
    golden(f"recipe.format-{RECIPE_FORMAT}.sha256", "".join(lines))


def test_nothing_but_the_fetches_has_a_network():
    text = recipe_of(sample_lock()).files["Dockerfile"].decode()
    runs = re.findall(r"^RUN .*$", text, re.MULTILINE)
    assert runs
    assert all(run.startswith("RUN --network=none") for run in runs)


def test_every_artifact_is_fetched_by_its_sha256():
    lock = sample_lock()
    text = recipe_of(lock).files["Dockerfile"].decode()
    for digest in [item.sha256 for item in lock.wheels] + [item.sha256 for item in lock.debs]:
        assert f"ADD --checksum=sha256:{digest} " in text


def test_conda_packages_are_fetched_from_their_channel_and_laid_down_apart():
    lock = conda_lock()
    recipe = recipe_of(lock)
    text = recipe.files["Dockerfile"].decode()
    for package in lock.conda:
        assert (
            f"ADD --checksum=sha256:{package.sha256} ${{CHANNEL_CONDA_FORGE_URL}}/{package.path} "
            f"/conda/{package.file}\n"
        ) in text
    assert "/conda-tools/py_rattler-" in text
    assert "venv.sh" not in text
    final = text[text.rindex("\nFROM ") :]
    assert final.startswith("\nFROM base\n")
    assert "conda.sh" not in final
    assert final.count("conda-layer.sh") == 3
    assert "/opt/venv" not in text


@pytest.mark.parametrize(("base_layers", "steps"), [(1, 40), (80, 35), (119, 1)])
def test_there_are_as_many_python_steps_as_engines_take(base_layers, steps):
    lock = sample_lock(image_base())
    base = lock.bases[0]
    assert base.image
    digests = dict.fromkeys(("layers", "diff_ids"), (f"sha256:{'1' * 64}",) * base_layers)
    base = base.model_copy(update={"image": base.image.model_copy(update=digests)})
    more = tuple(wheel(f"big-{number:02}", size=2_000_000 + number) for number in range(50))
    wheels = tuple(sorted((*lock.wheels, *more), key=lambda item: item.file))
    target = lock.targets[0].model_copy(
        update={"wheels": tuple(item.file for item in wheels if item.name != "installer")}
    )
    lock = lock.model_copy(update={"wheels": wheels, "targets": (target,), "bases": (base,)})
    assert recipe_of(lock).files["Dockerfile"].decode().count("wheels.sh") == steps


def test_no_stage_is_deeper_than_engines_allow():
    lock = sample_lock()
    more = tuple(deb(f"lib{number:03}") for number in range(200))
    base = lock.bases[0]
    assert base.packages
    packages = base.packages.model_copy(update={"debs": (*base.packages.debs, *(item.file for item in more))})
    lock = lock.model_copy(
        update={"debs": (*lock.debs, *more), "bases": (base.model_copy(update={"packages": packages}),)}
    )
    stages = recipe_of(lock).files["Dockerfile"].decode().split("\nFROM ")
    assert max(stage.count("\nADD ") for stage in stages) == FETCHES_PER_STAGE


def test_the_seed_is_the_essential_closure():
    names = [item.name for item in plan_seed(sample_lock().debs)]
    assert names == ["base-files", "bash", "libc6", "mawk"]


def test_an_image_base_needs_no_seed():
    recipe = recipe_of(sample_lock(image_base()))
    assert recipe.seed == ()
    assert "seed.tar" not in recipe.files["Dockerfile"].decode()


def test_same_lock_same_bytes():
    assert recipe_of(sample_lock()) == recipe_of(sample_lock())


def test_scripts_are_carried_as_they_are():
    assert not [name for name in recipe_of(sample_lock()).files if "conda" in name]
    files = recipe_of(conda_lock()).files
    for path in (template_folder() / "recipe").iterdir():
        if path.name == PYTHON_SCRIPT:
            continue
        assert files[f"recipe/{path.name}"] == path.read_bytes()
    assert files["recipe/wheel_files.py"] == Path(wheel_files.__file__).read_bytes()
    assert files["recipe/bytecode.py"] == Path(bytecode.__file__).read_bytes()


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", '"plain"'),
        ('a "b" c', r'"a \"b\" c"'),
        ("$HOME", r'"\$HOME"'),
        ("back\\slash", '"back\\\\slash"'),
    ],
)
def test_a_quoted_word_means_itself(value, quoted):
    assert quote_dockerfile(value) == quoted


def test_a_line_break_cannot_be_quoted():
    with pytest.raises(ValueError, match="line break"):
        quote_dockerfile("a\nRUN evil")
