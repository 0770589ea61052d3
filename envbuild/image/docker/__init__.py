"""The Docker Engine: build, find, run, push, load."""
