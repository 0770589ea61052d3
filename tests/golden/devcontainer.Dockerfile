# Written by `envbuild devcontainer`.  Do not edit: regenerating would refuse to overwrite it.
#
# The locked image, with one layer on top: installed packages can be edited, and Python looks at the source before
# it runs the bytecode beside it.
FROM train:<digest>
USER 0
RUN --network=none \
    --mount=type=bind,source=editable.py,target=/dev/envbuild/editable.py \
    ["/usr/bin/python3.11", "-I", "-S", "-B", "/dev/envbuild/editable.py", "/opt/venv"]
USER 1000:1000
