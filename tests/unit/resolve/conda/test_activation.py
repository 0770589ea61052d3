import pytest

from envbuild.resolve.conda.activation import expand_value, read_activation

FILES = frozenset({"share/proj/proj.db", "share/proj/licenses.csv", "bin/tool"})


def read(text, *, preset=None):
    return read_activation({"a.sh": text}, prefix="/opt/conda", files=FILES, preset=preset or {})


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("export A=b", {"A": "b"}),
        ('export A="b c" B=\'$d\'\n', {"A": "b c", "B": "$d"}),
        ("A=b\nexport A\n", {"A": "b"}),
        ("A=b\n", {}),
        ("export A=$CONDA_PREFIX/x # y\n", {"A": "/opt/conda/x"}),
        ('export A="${CONDA_PREFIX}/lib:${LD_LIBRARY_PATH:-}"', {"A": "/opt/conda/lib:${LD_LIBRARY_PATH:-}"}),
        ('export A="${B:-default}"', {"A": "${B:-default}"}),
        ('unset B; export A="${B:-default}$B"', {"A": "default"}),
        ("export A=1; unset A", {}),
        ('export PATH="/x${PATH:+:$PATH}"', {"PATH": "/x:${PATH}"}),
        ("export B=1; export A=${B:+set}", {"A": "set", "B": "1"}),
        ('export PATH="${CONDA_PREFIX}/x/bin:${PATH}"', {"PATH": "/opt/conda/x/bin:${PATH}"}),
        ('if [ -n "${A:-}" ]; then export B=1; else export B=2; fi', {"B": "2"}),
        ('if [[ "${A:-}" == "" ]]; then\n  export A=1\nfi\n', {"A": "1"}),
        ("if [ -d ${CONDA_PREFIX}/share/proj ]\nthen\nexport A=1\nelse\nexport A=2\nfi", {"A": "1"}),
        ('if [ -f $CONDA_PREFIX/bin/tool ] && [ -z "$B" ]; then export A=1; fi', {"A": "1"}),
        ('[ -z "$A" ] && export A=1\n', {"A": "1"}),
        ('[[ -n "$A" ]] || export A=1\n', {"A": "1"}),
        ("export A=1 \\\n  B=2\n", {"A": "1", "B": "2"}),
        ('if [ -n "$X" ]; then\n  if [ -z "$Y" ]; then\n export A=1\n fi\nelse\n export A=2\nfi', {"A": "2"}),
    ],
)  # fmt: skip
def test_what_a_script_sets_is_worked_out(text, env):
    result = read(text)
    assert result.env == env
    assert result.unread == []


@pytest.mark.parametrize(
    ("text", "env", "unread"),
    [
        ("export A=$(nproc)\nexport B=1", {"B": "1"}, ["a.sh:1"]),
        ("setup() {\n  export A=1\n}\nsetup\nexport B=1\n", {"B": "1"}, ["a.sh:1", "a.sh:4"]),
        ("for x in 1 2; do\n  export A=$x\ndone\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("case $A in\n  x) export A=1;;\nesac\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("if [ -f /etc/x ]; then\n export A=1\nelse\n export A=2\nfi\nexport B=1", {"B": "1"}, ["a.sh:1"]),
        ("if [ -d $CONDA_PREFIX/share/gdal ]; then export A=1; fi", {}, ["a.sh:1"]),
        ("source $CONDA_PREFIX/etc/x.sh\nexport B=1", {"B": "1"}, ["a.sh:1"]),
        # a variable nobody set here is not an empty one
        ('export A="-ccbin ${CXX}"\nexport B=1', {"B": "1"}, ["a.sh:1"]),
        ('export LD_LIBRARY_PATH="$CONDA_PREFIX/lib:$LD_LIBRARY_PATH"', {}, ["a.sh:1"]),
        ('export A="/x${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"', {}, ["a.sh:1"]),
        ('export A="/x:${B:-}"\n[ -n "$A" ] && export C=1', {"A": "/x:${B:-}"}, ["a.sh:2"]),
        ('export A="/x:${B:-$C}"', {}, ["a.sh:1"]),
        # what is not known stays so for all that is made of it
        ('root=$(dirname $0)\nexport HOME_OF_TOOL="$root/tool"', {}, ["a.sh:1", "a.sh:2"]),
        ("A=$(nproc)\nexport A\nexport B=1", {"B": "1"}, ["a.sh:1", "a.sh:2"]),
        ("export A=1\nexport A=$(nproc)", {}, ["a.sh:2"]),
        ("if [ -f /etc/x ]; then\n B=1\nfi\nexport A=${B:-2}", {}, ["a.sh:1", "a.sh:4"]),
        ("for x in 1 2; do\n B=$x\ndone\nexport A=/$B\nB=3\nexport B", {"B": "3"}, ["a.sh:1", "a.sh:4"]),
        # functions in every form
        ("setup()\n{\n  export A=1\n}\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("function setup {\n  export A=1\n}\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("setup() { export A=1; }\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("setup() {\n  echo \"if\" '{'\n}\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("setup() {\n  echo waiting for it, if any\n}\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("f() {\n for x in a; do case $x in b) { c; };; esac; done\n}\nexport B=1", {"B": "1"}, ["a.sh:1"]),
        ("for x in ${LIST}\ndo\n  export A=1\ndone\nexport B=1\n", {"B": "1"}, ["a.sh:1"]),
        ("setup() {\n  echo 1\nexport B=1\n", {}, ["a.sh:1", "a.sh:3"]),
        ('if [ -z "$A" ]; then\n  export B=1\n', {"B": "1"}, ["a.sh:2"]),
        # what would be taken for a reference
        ("export A='${PATH}'\nexport B='${C:-d}'", {}, ["a.sh:1", "a.sh:2"]),
        ('export A="\\$B"', {}, ["a.sh:1"]),
        ("rm -rf / > /dev/null\nexport B=1", {"B": "1"}, ["a.sh:1"]),
    ],
)
def test_what_cannot_be_worked_out_is_told_by_line_and_nothing_is_run(text, env, unread):
    result = read(text)
    assert result.env == env
    assert result.unread == unread


def test_scripts_are_read_in_the_order_of_their_names_after_the_presets():
    result = read_activation(
        {"b.sh": "export A=2", "a.sh": 'export A=1\nexport B="$P"'},
        prefix="/opt/conda",
        files=(),
        preset={"P": "p"},
    )
    assert result.env == {"A": "2", "B": "p", "P": "p"}


def test_the_scripts_of_a_package_are_read_as_by_one_shell():
    result = read_activation(
        {"a.sh": "root=/r\nexport A=1\nB=$(nproc)", "b.sh": 'export C="$root/$A"\nexport D=$B'},
        prefix="/opt/conda",
        files=(),
        preset={},
    )

    assert result.env == {"A": "1", "C": "/r/1"}
    assert result.unread == ["a.sh:3", "b.sh:2"]


def test_a_preset_that_looks_like_a_reference_is_told():
    result = read("export B=1", preset={"A": "${B:-x}", "C": "${D}"})

    assert result.env == {"B": "1", "C": "${D}"}
    assert result.unread == ["env_vars.d:A"]


@pytest.mark.parametrize(
    ("value", "settled"),
    [
        ("/opt/conda/lib:${LD_LIBRARY_PATH:-}", "/opt/conda/lib:/usr/local/cuda/lib64"),
        ("${A:-x} ${A-x}", "x x"),
        ("${EMPTY:-x}${EMPTY-x}", "x"),
        ("/x/bin:${PATH}", "/x/bin:/usr/bin"),
        ("$A ${A} plain", "$A ${A} plain"),
    ],
)
def test_references_are_settled_with_what_the_image_has(value, settled):
    env = {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "EMPTY": ""}

    assert expand_value(value, env) == settled
