"""Print the rates of the corpus and each failure's reason."""

import sys

from tests.rig.corpus.rate import judge_all, summary

wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
found = judge_all(
    lock="--lock" in sys.argv[1:],
    only=lambda name: not wanted or any(name.startswith(start) for start in wanted),
)
sys.stdout.write(summary(found))
