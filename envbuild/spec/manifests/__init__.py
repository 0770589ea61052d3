"""Files that say what a project needs: setup.py, setup.cfg, Pipfile, scripts, and tables of other tools."""
