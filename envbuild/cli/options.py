"""Options several commands share, spelled once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from envbuild.cli.completion import complete_platform, complete_variant
from envbuild.workflows.engines import EngineName

SpecPath = Annotated[
    Path | None,
    typer.Option(
        "--spec",
        "-f",
        help="The spec: envbuild.toml or pyproject.toml, or the folder that holds it.  [default: here]",
        show_default=False,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        help="Which variant of the spec.",
        show_default="the spec's default",
        autocompletion=complete_variant,
    ),
]
PlatformOption = Annotated[
    str | None,
    typer.Option(
        "--platform",
        help="Which platform, such as linux/amd64.",
        show_default="this machine's",
        autocompletion=complete_platform,
    ),
]
EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="What builds and runs: docker, or local, which needs no daemon.",
        show_default="[build] engine of the spec, else docker",
    ),
]
EachEngine = Annotated[
    EngineName | None,
    typer.Option("--engine", help="Ask this engine alone: docker or local.", show_default="all"),
]
Frozen = Annotated[
    bool, typer.Option("--frozen", help="Use the lock as it stands, without comparing it with the spec.")
]
LockFirst = Annotated[
    bool, typer.Option("--lock", help="Bring a lock that is missing or out of date up to date first.")
]
AddBuilds = Annotated[
    bool,
    typer.Option("--add-builds", help="Write what must be built from source into the spec, and build it."),
]
Gpus = Annotated[
    str,
    typer.Option(
        "--gpus", help="GPUs for the container: auto (all where the engine can), all, none, 2, device=0,1."
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Use only what the cache holds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
AllSpecs = Annotated[
    bool, typer.Option("--all", help="Every spec below the folder of --spec.", show_default=False)
]
RequireGpu = Annotated[
    bool, typer.Option("--require-gpu", help="Fail when there is no GPU, in place of skipping its checks.")
]
ProfileOption = Annotated[
    Literal["image", "devcontainer"],
    typer.Option("--profile", help="How strict: a devcontainer may hold more than the lock."),
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report to this file too.")]
PackageKindOption = Annotated[
    Literal["wheel", "conda", "deb"] | None,
    typer.Option("--kind", help="Packages of this kind alone.", show_default="all"),
]
