import pytest

from envbuild.resolve.conda.activation import read_activation

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
        ('export A="${CONDA_PREFIX}/lib:${LD_LIBRARY_PATH:-}"', {"A": "/opt/conda/lib:"}),
        ('export A="${B:-default}"', {"A": "default"}),
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
