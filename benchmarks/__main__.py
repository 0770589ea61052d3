"""``python -m benchmarks``: what the commands cost."""

from benchmarks.commands import main

main()
