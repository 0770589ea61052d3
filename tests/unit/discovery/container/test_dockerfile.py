"""What Dockerfiles ask for, and that each line that is not taken is named."""

from collections.abc import Mapping
from typing import Any

import pytest

from envbuild.discovery.container.dockerfile import read_dockerfile
from envbuild.discovery.content import FileContent


def read(text: str, *files: str, **options: Any) -> FileContent:
    return read_dockerfile(text, "Dockerfile", exists=files.__contains__, **options)


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


def image(content: FileContent) -> Mapping[str, object]:
    return content.tables.get("image", {})


def test_a_plain_dockerfile_is_taken_whole():
    content = read(
        "FROM python:3.11-slim\n"
        "ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1\n"
        "RUN apt-get update && apt-get install -y git \\\n    # sound\n    libsndfile1\n"
        "WORKDIR /app\n"
        "COPY requirements.txt .\n"
        "RUN pip install -r requirements.txt\n"
        'CMD ["python", "-m", "train"]\n',
        "requirements.txt",
    )
    assert content.tables == {
        "base": {"image": "python:3.11-slim"},
        "system": {"packages": ["git", "libsndfile1"]},
        "image": {
            "env": {"PYTHONUNBUFFERED": "1"},
            "workdir": "/app",
            "command": ["python", "-m", "train"],
        },
    }
    assert content.files == ["requirements.txt"]
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "Dockerfile:1")]
    assert [(taken.file, taken.what) for taken in content.taken] == [
        (
            "Dockerfile",
            (
                "base python:3.11-slim, 2 Debian packages, installs from requirements.txt, "
                "settings of containers"
            ),
        )
    ]
    assert left(content) == []


# --- stages -------------------------------------------------------------------------------------

STAGES = """\
FROM python:3.12-slim AS base
ENV A=1
FROM base AS builder
RUN apt-get update && apt-get install -y gcc
RUN pip install numpy
FROM base AS test
RUN pip install pytest
FROM base
COPY --from=builder /opt/venv /opt/venv
RUN apt-get install -y curl
"""


def test_the_last_stage_is_taken_with_what_it_is_made_from_and_copies():
    content = read(STAGES)
    assert content.tables["pip"] == {"packages": ["numpy"]}
    assert content.tables["system"] == {"packages": ["curl"]}
    assert image(content) == {"env": {"A": "1"}}
    assert left(content) == [
        "Dockerfile:6: stage `test` is not part of `3`, which is taken",
        "Dockerfile:4: only in a stage that builds: gcc",
    ]
    assert content.left[1].hint == 'if a source must be built with them: `build-packages = ["gcc"]` in [pip]'


def test_another_stage_can_be_asked_for():
    content = read(STAGES, target="test")
    assert content.tables["pip"] == {"packages": ["pytest"]}
    assert "Dockerfile: it has no stage `x`" in left(read(STAGES, target="x"))


@pytest.mark.parametrize(
    ("asked", "packages"),
    [
        ("torch>=2.0", ["torch==2.1.0"]),
        ("torch==2.2", []),
        ("torch @ https://h.example.com/torch-2-py3-none-any.whl", []),
    ],
)
def test_a_later_step_wins_over_the_framework_of_the_base(asked, packages):
    text = "FROM pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime\nCOPY r.txt .\nRUN pip install -r r.txt"
    content = read(text, "r.txt", read={"r.txt": f"{asked}\nsix\n"}.get)
    assert content.tables["pip"]["packages"] == packages
    assert left(content) == [
        f"Dockerfile:1: `torch==2.1.0` of the base gives way to `{asked}`, which a step installs"
        for _ in range(1 - len(packages))
    ]


def test_a_lock_in_another_form_is_the_project():
    content = read(
        "FROM python:3.11 AS lock\nCOPY pyproject.toml poetry.lock ./\n"
        "RUN poetry export -f requirements.txt --output requirements.txt --without-hashes\n"
        "FROM python:3.11\nCOPY --from=lock /requirements.txt /a/requirements.txt\n"
        "RUN pip install -r /a/requirements.txt",
        "pyproject.toml",
        "poetry.lock",
    )
    assert (content.files, left(content)) == (["poetry.lock", "pyproject.toml"], [])


def test_an_image_for_something_else_gives_nothing():
    content = read('FROM node:20\nENV A=1\nRUN npm ci\nCMD ["npm", "start"]')
    assert (content.tables, content.taken) == ({}, [])
    assert left(content) == [
        "Dockerfile:1: `node:20` is not an image for Python",
        "Dockerfile:3: `npm ci`: installs what is not Python",
    ]


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "base"),
    [
        ("ARG V=3.11\nFROM python:${V}-slim", {}, "python:3.11-slim"),
        ("ARG V=3.11\nFROM python:$V", {"arguments": {"V": "3.12"}}, "python:3.12"),
        ("FROM python:${V:-3.13}-slim", {}, "python:3.13-slim"),
        ('ARG V="3.11"\nARG W=${V}-slim\nFROM --platform=linux/amd64 python:$W AS x', {}, "python:3.11-slim"),
    ],
)
def test_arguments_of_from(text, options, base):
    content = read(text, **options)
    assert content.tables["base"] == {"image": base}
    assert left(content) == []


def test_an_argument_of_a_stage_is_known_in_it_alone():
    content = read(
        "ARG V=1\nFROM python:3.11\nARG V\nARG W=2\nRUN pip install a==$V b==$W\n"
        "FROM python:3.11\nRUN pip install c==$V"
    )
    assert left(content) == [
        "Dockerfile:2: stage `0` is not part of `1`, which is taken",
        "Dockerfile:7: `$V` has no value here",
    ]


def test_arguments_in_a_circle_are_named():
    assert left(read("ARG A=${B}\nARG B=${C}\nARG C=$A\nFROM x:${A}")) == [
        "Dockerfile:1: ARG A → B → C → A refer to one another",
        "Dockerfile:4: `FROM x:${A}`: `${A}` has no value here",
    ]


def test_arguments_that_double_each_time_end():
    text = "ARG A=0123456789\n" + "ARG A=$A$A\n" * 40 + "FROM python:3.11"
    assert left(read(text))[0] == "Dockerfile:14: `ARG A` becomes a value of more than 65536 characters"


# --- variables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ENV A=1 B='2 3' C=\"4 5\"", {"env": {"A": "1", "B": "2 3", "C": "4 5"}}),
        ("ENV A some words", {"env": {"A": "some words"}}),
        ("ENV PATH=/a/bin:$PATH", {"prepend": {"PATH": ["/a/bin"]}}),
        ('ENV PATH "/a:/b:${PATH}"', {"prepend": {"PATH": ["/a", "/b"]}}),
        ("ENV PYTHONPATH=/app:${PYTHONPATH:-}", {"prepend": {"PYTHONPATH": ["/app"]}}),
        ("ENV R=/r\nENV PATH=$R/bin:$PATH", {"env": {"R": "/r"}, "prepend": {"PATH": ["/r/bin"]}}),
        ("ENV PATH=/opt/conda/bin:/opt/venv/bin:/root/.local/bin:$PATH", {}),
        ("ENV DEBIAN_FRONTEND=noninteractive POETRY_HOME=/p UV_LINK_MODE=copy", {}),
        ("ENV A=1\nENV B=$A", {"env": {"A": "1", "B": "1"}}),
        ("ENV A=1\nENV A=2 B=$A", {"env": {"A": "2", "B": "1"}}),
    ],
)
def test_variables_of_containers(line, expected):
    content = read(f"FROM python:3.11\n{line}")
    assert (image(content), left(content)) == (expected, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ENV A=$B", "`A`: `$B` has no value here"),
        ("ENV HF_TOKEN=hf_x", "`HF_TOKEN` may be a secret: its value is not taken"),
        ("ENV PIP_EXTRA_INDEX_URL=https://index.example.com",
         "`PIP_EXTRA_INDEX_URL` names an index, and not for which packages"),
        ("ENV PATH=$PATH:/x", "`PATH`: /x comes after the base's own value"),
        ("ENV A=\\${B}", "`A` holds `${…}`, which is not replaced"),
        ("ENV A.B=1", "`A.B` cannot name an environment variable"),
        ("ENV A=1 =2", "`ENV =2` cannot be read"),
    ],
)  # fmt: skip
def test_variables_that_cannot_be_taken_are_reported(line, message):
    assert left(read(f"FROM python:3.11\n{line}")) == [f"Dockerfile:2: {message}"]


def test_nvidias_variables_ask_for_a_gpu():
    content = read(
        "FROM python:3.11\nENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"
    )
    assert content.tables["gpu"] == {"cuda": "auto"}


# --- how containers start -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        ('CMD ["a", "b"]', ["a", "b"]),
        ("CMD a 'b c'", ["a", "b c"]),
        ("CMD a --port $PORT", ["/bin/sh", "-c", "a --port $PORT"]),
        ('ENTRYPOINT ["a"]\nCMD ["b"]', ["a", "b"]),
        ('CMD ["b"]\nENTRYPOINT ["a"]', ["a"]),
        ('ENTRYPOINT ["conda", "run", "-n", "x", "python", "a.py"]', ["python", "a.py"]),
        ('ENTRYPOINT ["tini", "--", "a"]', ["a"]),
        ('CMD ["/opt/venv/bin/uvicorn", "a:b"]', ["uvicorn", "a:b"]),
        ('CMD ["uv", "run", "a"]', ["a"]),
    ],
)  # fmt: skip
def test_what_containers_run(lines, command):
    content = read(f"FROM python:3.11\n{lines}")
    assert (image(content), left(content)) == ({"command": command}, [])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('ENTRYPOINT ["/a.sh"]',
         "Dockerfile:2: `/a.sh`: the program is a file of the project, which is not in the image"),
        ('CMD ["./run"]',
         "Dockerfile:2: `./run`: the program is a file of the project, which is not in the image"),
        ("CMD a ${PORT}", "Dockerfile:2: what containers run holds `${…}`, which is not replaced"),
        ("USER 1000", "Dockerfile:2: `1000` is a number"),
        ("USER $U", "Dockerfile:2: `USER $U`: `$U` has no value here"),
        ("WORKDIR $W", "Dockerfile:2: `WORKDIR $W`: `$W` has no value here"),
    ],
)  # fmt: skip
def test_starts_that_cannot_be_taken_are_reported(lines, message):
    assert left(read(f"FROM python:3.11\n{lines}")) == [message]


def test_folder_and_account():
    content = read("FROM python:3.11\nWORKDIR /a\nWORKDIR b\nUSER root\nUSER app:app")
    assert image(content) == {"workdir": "/a/b", "user": "app"}


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        ("FROM r.example.com/lambda/python:3.11\nCOPY r.txt ${LAMBDA_TASK_ROOT}\nRUN pip install -r r.txt",
         ["r.txt"]),
        ("FROM nvidia/cuda:12.1.1-base-ubuntu22.04\nRUN V=${CUDA_VERSION%.*} && pip install a==${V//./}", []),
    ],
)  # fmt: skip
def test_what_a_base_brings_for_later_steps_is_known(lines, files):
    content = read(lines, "r.txt")
    assert content.files == files
    assert [problem for problem in content.left if "no value" in problem.message] == []


def test_a_handler_of_a_service_is_no_command():
    content = read('FROM r.example.com/lambda/python:3.11\nCMD ["app.handler"]')
    assert left(content)[1] == "Dockerfile:2: `app.handler` is a handler, not a program"
    assert "command" not in image(content)


@pytest.mark.parametrize(
    "command", ["useradd -m -u 1000 -s /bin/bash app", "adduser --disabled-password --uid=1000 app"]
)
def test_an_account_by_number_has_the_name_it_was_made_with(command):
    content = read(f"FROM python:3.11 AS a\nRUN {command}\nFROM a\nUSER 1000")
    assert (image(content), left(content)) == ({"user": "app"}, [])


# --- copies and mounts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        "COPY a/req.txt .\nRUN pip install -r req.txt",
        "WORKDIR /app\nCOPY a/req.txt ./\nRUN pip install -r /app/req.txt",
        "COPY a/req.txt /tmp/r.txt\nRUN pip install -r /tmp/r.txt",
        "COPY a/req.txt /tmp\nRUN pip install -r /tmp/req.txt",
        "COPY a/*req*.txt /tmp/\nRUN cd /tmp && pip install -r req.txt",
        "RUN --mount=type=bind,source=a/req.txt,target=/t.txt --mount=type=tmpfs pip install -r /t.txt",
        'ADD ["a/req.txt", "/tmp/"]\nRUN ["pip", "install", "-r", "/tmp/req.txt"]',
    ],
)  # fmt: skip
def test_files_are_found_where_they_were_copied_to(lines):
    content = read(f"FROM python:3.11\n{lines}", "a/req.txt")
    assert content.files == ["a/req.txt"]


@pytest.mark.parametrize("context", ["/etc", "..", "../other"])
def test_no_file_outside_the_folder_is_asked_for(context):
    asked: list[str] = []

    def exists(file: str) -> bool:
        asked.append(file)
        return False

    text = (
        "FROM python:3.11\nCOPY . /a\nRUN pip install -r /a/../b.txt -r /a/b.txt -r ../../x && pip install /a"
    )
    read_dockerfile(text, "Dockerfile", exists=exists, context=context)
    assert [file for file in asked if file.startswith(("/", ".."))] == []


def test_the_context_can_be_another_folder():
    text = "FROM python:3.11\nCOPY req.txt /\nRUN pip install -r /req.txt"
    assert read(text, "a/req.txt", context="a").files == ["a/req.txt"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY . /app", "`COPY . /app`: the project is not part of the image"),
        ("COPY --from=busybox /bin/x /bin/x", "`COPY /bin/x /bin/x` copies out of another image"),
        ("ADD https://h.example.com/x /x", "`ADD https://h.example.com/x /x` downloads a file"),
        ("COPY <<E /x\nb\nE", "`COPY <<E /x`: writes a file"),
        ("RUN --mount=type=secret,id=x pip install a", "`--mount=type=secret` is not taken"),
    ],
)
def test_copies_that_are_not_taken_are_reported(line, message):
    assert left(read(f"FROM python:3.11\n{line}")) == [f"Dockerfile:2: {message}"]


def test_a_copied_installer_is_no_report():
    assert (
        left(read("FROM python:3.11\nCOPY --from=registry.example.com/astral-sh/uv:0.5 /uv /uvx /bin/")) == []
    )


# --- other lines --------------------------------------------------------------------------------


def test_a_script_in_a_here_document_is_read_line_by_line():
    content = read("FROM python:3.11\nRUN <<EOF\nset -e\npip install a\nmake\nEOF\n")
    assert content.tables["pip"] == {"packages": ["a"]}
    assert left(content) == ["Dockerfile:5: `make`: builds something from source"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("LABEL a=b", "`LABEL a=b` is not taken"),
        ("EXPOSE 80", "`EXPOSE 80` is not taken"),
        ("VOLUME /a", "`VOLUME /a` is not taken"),
        ("HEALTHCHECK NONE", "`HEALTHCHECK NONE` is not taken"),
        ("ONBUILD RUN x", "`ONBUILD RUN x` is not taken"),
        ('SHELL ["pwsh"]', '`SHELL ["pwsh"]`: lines of this shell are read as those of sh'),
        ("STOPSIGNAL 9", "`STOPSIGNAL 9` is not taken"),
        ("FOO bar", "`FOO bar` is no instruction"),
        ("RUN python <<E\nx\nE", "`RUN python <<E`: a here-document is not read"),
        ("RUN <<E\n#!/usr/bin/env perl\nE", "`perl` runs a script while building"),
        ("RUN <<E\nx", "`RUN <<E`: its here-document does not end"),
    ],
)  # fmt: skip
def test_every_other_instruction_is_reported_with_what_to_do(line, message):
    problems = read(f"FROM python:3.11\n{line}").left
    assert str(problems[0]) == f"Dockerfile:2: {message}"
    assert problems[0].hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Dockerfile: has no FROM"),
        ("RUN x", "Dockerfile:1: `RUN x` stands before the first FROM"),
        ("FROM", "Dockerfile:1: `FROM` is no FROM"),
        ("FROM a b c", "Dockerfile:1: `FROM a b c` is no FROM"),
        ("x" * 1_000_001, "Dockerfile: is longer than 1000000 characters"),
    ],
    ids=["empty", "no from", "from nothing", "from what", "too long"],
)
def test_what_is_no_dockerfile_is_said(text, message):
    assert message in left(read(text))
