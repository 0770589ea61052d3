"""Environments in the shapes of real repositories, and what `init` and `lock` must make of each.

Each is a folder below ``tests/corpus``: the files a person has, in our own words, and an ``expected.toml``
that says what a careful person would write for them.  Three judgements, one after the other:

- *init* (`written_spec`): the spec that was written is compared as it stands, with its base, its Python and
  what was reported.
- *lock* (`judged_lock`): the versions must be those of plain uv, which may build, or those of the lock that
  people have.
- *build* (`judged_lock`): the small ones are built by the local engine, their modules imported in the image.

``python -m tests.rig.corpus [--lock] [KIND[/NAME]...]`` prints the rates and each failure's reason.
"""
