"""`envbuild run` and `envbuild shell` do the same on both engines, on a terminal and without one."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from envbuild.image.container_options import Account, ContainerOptions, Mount
from envbuild.image.docker.containers import DockerContainers
from envbuild.image.engine import RunRequest
from tests.rig.shell_project import ShellProject, give_shell_project
from tests.rig.terminal import CTRL_C, Terminal
from tests.rig.web import free_port

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("containers"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

CTRL_D, CTRL_Z = "\x04", "\x1a"

RESIZED = 'until [ "$(stty size)" = \'24 57\' ]; do sleep 0.1; done; echo n"o"w 57\n'

BEGIN = "sh -c 'echo be\"gun\"{}; exec sleep 1000'\n"
"""A job that says when it has the terminal: keys that are pressed earlier are the shell's."""


@pytest.fixture(scope="module", params=["docker", "local"])
def project(request, engine_host, tmp_path_factory):
    return give_shell_project(request.param, tmp_path_factory.mktemp("containers"))


def has(terminal: Terminal, text: str) -> bool:
    return any(text in line for line in terminal.lines)


def says(terminal: Terminal, keys: str, text: str) -> None:
    terminal.type(keys)
    terminal.wait_for(lambda: has(terminal, text))


def prompt(project: ShellProject) -> str:
    return f"(shell-{project.engine}-{os.getpid()})"


class TestOnATerminal:
    """A person is there."""

    def test_a_shell_is_a_shell(self, project):
        with project.on_terminal("shell", columns=100) as terminal:
            terminal.wait_for(lambda: has(terminal, prompt(project)))
            assert not has(terminal, "job control")
            says(terminal, "echo $BASH_VERSION | head -c 1; tty; stty size\n", "/dev/pts/0")
            terminal.wait_for(lambda: has(terminal, "24 100"))
            terminal.resize(57)
            # the engine hears of it a little later
            says(terminal, RESIZED, "now 57")
            says(terminal, BEGIN.format(1), "begun1")
            says(terminal, CTRL_C, "^C")
            says(terminal, "echo code=$?\n", "code=130")
            says(terminal, BEGIN.format(2), "begun2")
            says(terminal, CTRL_Z, "Stopped")
            says(terminal, "kill -9 %1; wait -f %1; echo $TERM\n", "xterm-256color")
            terminal.type("exit 3\n")

            assert terminal.end() == 3
        assert project.containers() == []

    def test_ctrl_d_ends_it(self, project):
        with project.on_terminal("shell") as terminal:
            terminal.wait_for(lambda: has(terminal, prompt(project)))
            terminal.type(CTRL_D)

            assert terminal.end() == 0

    @pytest.mark.long
    def test_a_prompt_of_one_s_own_stays(self, project):
        with project.on_terminal("shell", "--env", "PS1=own> ") as terminal:
            terminal.wait_for(lambda: has(terminal, "own>"))
            assert not has(terminal, prompt(project))
            terminal.type("exit\n")

            assert terminal.end() == 0

    def test_a_command_gets_the_keys_and_ctrl_c(self, project):
        script = "trap 'echo caught; exit 9' INT; read line; echo said $line; while :; do sleep 0.05; done"
        with project.on_terminal("run", "--", "sh", "-c", script) as terminal:
            says(terminal, "hello\n", "said hello")
            terminal.type(CTRL_C)

            assert terminal.end() == 9
            assert has(terminal, "caught")
        assert project.containers() == []

    @pytest.mark.long
    def test_much_output_comes_whole(self, project):
        with project.on_terminal(
            "run", "--", "sh", "-c", "yes 0123456789 | head -n 5000; echo last"
        ) as terminal:
            assert terminal.end() == 0
            assert terminal.lines[-1] == "last"

    def test_it_has_the_size_of_this_one_from_the_start(self, project):
        with project.on_terminal("run", "--", "stty", "size", columns=77) as terminal:
            assert terminal.end() == 0
            assert terminal.lines[-1] == "24 77"

    def test_a_command_whose_output_is_piped_reads_what_is_typed(self, project):
        script = "echo ready; read line; echo said $line"
        with project.on_terminal("run", "--no-tty", "--", "sh", "-c", script) as terminal:
            terminal.wait_for(lambda: has(terminal, "ready"))
            says(terminal, "hello\n", "said hello")

            assert terminal.end() == 0

    @pytest.mark.long
    def test_without_a_terminal_if_so_wanted(self, project):
        with project.on_terminal("run", "--no-tty", "--", "sh", "-c", "tty; exit 4") as terminal:
            assert terminal.end() == 4
            assert has(terminal, "not a tty")

    def test_the_terminal_is_as_before_when_it_is_told_to_end(self, project):
        with project.on_terminal("shell") as terminal:
            terminal.wait_for(lambda: has(terminal, prompt(project)))
            raw = terminal.settings()
            terminal.process.send_signal(signal.SIGTERM)

            assert terminal.end() == 143
            assert terminal.settings() != raw
        assert project.containers() == []


class TestTheFolder:
    """Of the spec, mounted at the working directory."""

    def test_files_are_the_caller_s(self, project):
        (project.folder / "given").write_text("content\n")

        said = project("run", "--", "sh", "-c", "pwd; cat given; echo made >made; mkdir -p folder/inner")

        assert said.stdout == "/workspace\ncontent\n"
        for name in ("made", "folder", "folder/inner"):
            found = (project.folder / name).stat()
            assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())

    def test_from_a_subfolder_it_starts_there(self, project):
        said = project("run", "--", "pwd", folder=project.folder / "sub")

        assert said.stdout == "/workspace/sub\n"

    def test_not_mounted_the_image_s_user_runs(self, project):
        said = project("run", "--no-mount", "--", "sh", "-c", "pwd; ls; id -u")

        assert said.stdout == "/workspace\n1000\n"

    @pytest.mark.long
    def test_what_is_copied_is_not_mounted_over(self, project):
        (project.folder / "one").write_text("1")

        said = project("run", "--copy", "one", "--", "sh", "-c", "ls; echo 2 >one")

        assert (said.stdout, (project.folder / "one").read_text()) == ("one\n", "1")

    def test_a_file_that_it_does_not_see_is_explained(self, project):
        (project.folder / "fit.sh").write_text("true")

        said = project("run", "--no-mount", "--", "sh", "fit.sh", check=False)

        assert said.returncode == 2
        assert "note: fit.sh is in this folder, which the container does not see" in said.stderr
        assert "note:" not in project("run", "--", "sh", "fit.sh").stderr


class TestOptions:
    """Each means the same on both engines, or is refused."""

    def test_mounts(self, project, tmp_path):
        (tmp_path / "file").write_text("here")
        script = "cat /data/file; touch /data/new; echo x >/free/made; touch /memory/x; ls /memory"
        mounts = (f"{tmp_path}:/data:ro", f"type=bind,src={tmp_path},dst=/free", "type=tmpfs,target=/memory")
        words = [word for mount in mounts for word in ("--mount", mount)]

        said = project("run", *words, "--", "sh", "-c", script)

        assert said.stdout == "herex\n"
        assert "/data/new" in said.stderr
        assert "ead-only" in said.stderr
        assert (tmp_path / "made").read_text() == "x\n"
        assert not (tmp_path / "new").exists()

    def test_variables_network_shared_memory_and_start(self, project):
        (project.folder / "vars").write_text('# a remark\nA=file\nB=quo"ted\nFROM_HERE\n')
        options = ("--env-file", "vars", "--env", "A=option", "--network", "none", "--shm-size", "3m")
        script = "echo \"$A $B\"; cat /proc/net/dev | wc -l; stat -f -c '%b %S' /dev/shm; pwd"

        said = project("run", *options, "--workdir", "/some/where", "--", "sh", "-c", script)

        variables, links, sizes, start = said.stdout.splitlines()
        blocks, size = map(int, sizes.split())
        assert (variables, int(links), blocks * size) == ('option quo"ted', 3, 3 << 20)
        assert start == "/some/where"

    def test_a_user_by_number_is_known_and_has_a_home(self, project):
        script = 'echo "$(id -u) $(id -g) $(id -un)"; touch ~/made && test -w "$HOME" && echo "$HOME"'

        said = project("run", "--no-mount", "--user", "4321:77", "--", "sh", "-c", script)

        assert said.stdout == "4321 77 user\n/home/user\n"

    def test_what_comes_back_after_a_failure(self, project, tmp_path):
        links = "ln -s deep/one out/link; ln -s /etc/passwd out/bad; mkfifo out/pipe"
        script = f"mkdir -p out/deep; echo 1 >out/deep/one; {links}; exit 5"
        options = ("--no-mount", "--user", "0", "--copy-out", f"out:{tmp_path / 'back'}")

        said = project("run", *options, "--", "sh", "-c", script, check=False)

        assert said.returncode == 5
        assert "• bad: it is no file, or a link that leads out of the copy" in said.stderr
        assert "pipe: it is no file" in said.stderr
        assert (tmp_path / "back/link").read_text() == "1\n"
        assert not (tmp_path / "back/bad").is_symlink()

    @pytest.mark.long
    def test_what_does_not_come_back(self, project):
        said = project("run", "--copy-out", "none", "--", "true", check=False)
        failed = project("run", "--copy-out", "none", "--", "sh", "-c", "exit 6", check=False)

        assert (said.returncode, failed.returncode) == (125, 6)
        assert "error: the command left no /workspace/none" in said.stderr
        assert "error: the command left no /workspace/none" in failed.stderr

    def test_memory_cpus_and_ports(self, project):
        port = free_port()
        options = ("--memory", "64m", "--cpus", "1", "--publish", f"127.0.0.1:{port}:80")

        said = project("run", *options, "--", "true", check=False)

        if project.engine == "docker":
            assert said.returncode == 0
        else:
            assert said.returncode == 125
            for option in ("--memory", "--cpus", "--publish"):
                assert f"• {option}" in said.stderr
            assert project("run", "--publish", "8888:8888", "--", "true").returncode == 0

    def test_a_command_that_is_not_there(self, project):
        (project.folder / "train.py").write_text("")

        said = project("run", "--", "train.py", check=False)
        quoted = project("run", "--", "ls -l", check=False)

        assert (said.returncode, quoted.returncode) == (125, 125)
        assert "hint: `train.py` is a file of this folder: python train.py" in said.stderr
        assert "hint: a command is words, not one text" in quoted.stderr


class TestWithoutATerminal:
    """In a script, or for a scheduler."""

    def test_streams_are_passed_byte_for_byte(self, project):
        data = bytes(range(256)) * 500
        done = subprocess.run(
            [sys.executable, "-m", "envbuild", *project.words("run", "--", "cat")],
            input=data,
            capture_output=True,
            cwd=project.folder,
            env={**os.environ, **project.environment},
            check=True,
        )

        assert done.stdout == data

    @pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
    def test_told_to_end_it_lets_the_command_end(self, project, number):
        script = "trap 'sleep 0.5; echo saved >saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        (project.folder / "saved").unlink(missing_ok=True)
        with project.popen("run", "--", "sh", "-c", script) as running:
            assert running.stdout.readline() == "ready\n"
            running.send_signal(number)
            assert running.wait(timeout=30) == 128 + number
        assert (project.folder / "saved").read_text() == "saved\n"
        assert project.containers() == []

    def test_an_interrupt_that_no_terminal_sent_reaches_the_command(self, project):
        script = "trap 'sleep 0.3; echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"
        with project.popen("run", "--", "sh", "-c", script) as running:
            assert running.stdout.readline() == "ready\n"
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=30) == 9
            assert running.stdout.read() == "caught\n"
        assert project.containers() == []

    def test_ctrl_c_where_the_command_has_no_terminal(self, project):
        script = "trap 'sleep 0.3; echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"
        with project.on_terminal("run", "--no-tty", "--", "sh", "-c", script) as terminal:
            terminal.wait_for(lambda: has(terminal, "ready"))
            terminal.type(CTRL_C)
            assert terminal.end() == 9
            assert sum("caught" in line for line in terminal.lines) == 1
        assert project.containers() == []

    @pytest.mark.long
    def test_the_third_interrupt_ends_what_does_not_listen(self, project):
        with project.popen("run", "--", "sh", "-c", "trap '' INT TERM; echo ready; sleep 1000") as running:
            assert running.stdout.readline() == "ready\n"
            for _ in range(3):
                running.send_signal(signal.SIGINT)
                time.sleep(0.5)
            if project.engine == "docker":
                assert running.wait(timeout=30) == 130
            else:
                running.send_signal(signal.SIGTERM)
                assert running.wait(timeout=30) == 143
        assert project.containers() == []

    @pytest.mark.long
    def test_one_that_does_not_listen_is_ended(self, project):
        with project.popen("run", "--", "sh", "-c", "trap '' TERM; echo ready; sleep 1000") as running:
            assert running.stdout.readline() == "ready\n"
            started = time.monotonic()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=30) == 143
        assert time.monotonic() - started < 20
        assert project.containers() == []

    @pytest.mark.long
    def test_a_shell_reads_its_input(self, project):
        done = subprocess.run(
            [sys.executable, "-m", "envbuild", *project.words("shell")],
            input="echo read; exit 8\n",
            capture_output=True,
            text=True,
            cwd=project.folder,
            env={**os.environ, **project.environment},
            check=False,
        )

        assert (done.returncode, done.stdout) == (8, "read\n")

    def test_no_terminal_can_be_given(self, project):
        said = project("run", "--tty", "--", "true", check=False)

        assert said.returncode == 125
        assert "--tty: standard input and output are no terminal" in said.stderr


@pytest.fixture(scope="module")
def shell(engine_host, tmp_path_factory):
    return give_shell_project("docker", tmp_path_factory.mktemp("another"))


class TestTheEngineIsRoot:
    """What envbuild puts into a container for its caller is written by the Docker Engine, as root."""

    def run(self, shell, script, *mounts, workdir="/workspace"):
        caller = Account(uid=4321, gid=4321, name="me")
        request = RunRequest(
            image=shell.reference,
            command=("sh", "-c", script),
            user=None,
            workdir=workdir,
            stdin=False,
            options=ContainerOptions(caller=caller, mounts=mounts),
        )
        engine = DockerContainers({**os.environ, **shell.environment})
        with contextlib.closing(engine):
            return engine.run_attached(request)

    def test_what_is_mounted_stays_as_it_is(self, shell, tmp_path):
        home, etc, passwd = tmp_path / "home", tmp_path / "etc", tmp_path / "passwd"
        known = "known:x:4321:4321::/home/known:/bin/sh\n"
        home.mkdir(mode=0o700)
        etc.mkdir()
        for file in (passwd, etc / "passwd"):
            file.write_text(known)
        before = home.stat()

        assert self.run(shell, "test $HOME = /home/me", Mount(target="/home/me", source=home)) == 0
        for mount in (Mount(target="/etc/passwd", source=passwd), Mount(target="/etc", source=etc)):
            assert self.run(shell, "test $(id -un) = known", mount) == 0

        assert (home.stat().st_mode, home.stat().st_uid) == (before.st_mode, before.st_uid)
        assert home.stat().st_mtime == before.st_mtime
        assert passwd.read_text() == (etc / "passwd").read_text() == known
        assert not (etc / "group").exists()

    def test_only_a_working_folder_of_its_own_is_handed_over(self, shell, tmp_path):
        mount = Mount(target="/data", source=tmp_path)
        assert self.run(shell, "touch here && test -O .", mount, workdir="/new/place") == 0
        assert self.run(shell, "test $(stat -c %a%u .) = 17770", mount, workdir="/tmp") == 0  # noqa: S108
        assert self.run(shell, "test $(stat -c %u .) = 0", mount, workdir="/etc") == 0
