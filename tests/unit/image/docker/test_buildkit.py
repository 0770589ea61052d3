import base64
import json

from envbuild.image.docker.buildkit import BuildLog, readable_step


def feed(log, *messages, indent=None):
    for message in messages:
        for line in json.dumps(message, indent=indent).splitlines():
            log.feed(line)


STEP = {"digest": "sha256:1", "name": "[stage-1 2/2] RUN install"}
STARTED = {"vertexes": [STEP | {"started": "now"}]}
FAILED = {"vertexes": [STEP | {"started": "now", "error": "exit code: 3"}]}


def output(text):
    return {"logs": [{"vertex": "sha256:1", "data": base64.b64encode(text.encode()).decode()}]}


def failing(indent):
    steps: list[str] = []
    log = BuildLog(steps.append)
    feed(log, STARTED, output("one\ntwo\n"), FAILED, indent=indent)
    log.feed("ERROR: failed to solve")
    return log, steps


def test_a_failed_step_is_named_with_its_last_lines_in_either_layout():
    for indent in (None, 2):
        log, steps = failing(indent)
        assert steps == ["[stage-1 2/2] RUN install"]
        assert log.failed_step == "[stage-1 2/2] RUN install"
        assert log.evidence() == "one\ntwo\nexit code: 3"


def test_without_a_failed_step_the_clients_words_are_the_evidence():
    log = BuildLog(lambda _: None)
    log.feed("ERROR: no such file")
    assert log.failed_step is None
    assert log.evidence() == "ERROR: no such file"


def test_only_the_last_lines_are_kept():
    log = BuildLog(lambda _: None)
    feed(log, STARTED, output("".join(f"{number}\n" for number in range(100))), FAILED)
    assert log.evidence().splitlines()[0] == "80"


def test_a_step_cancelled_because_another_failed_is_not_the_failure():
    log = BuildLog(lambda _: None)
    other = {"digest": "sha256:2", "name": "other", "started": "now", "error": "context canceled"}
    feed(log, STARTED, FAILED, {"vertexes": [other]})
    assert log.failed_step == "[stage-1 2/2] RUN install"


def test_a_step_is_told_without_the_options_of_run():
    name = '[2/3] RUN --network=none     --mount=type=bind,source=a,target=/b     ["/bin/sh", "x.sh"]'
    assert readable_step(name) == '[2/3] RUN ["/bin/sh", "x.sh"]'
