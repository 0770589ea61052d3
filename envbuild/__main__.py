"""``python -m envbuild``."""

from envbuild.cli.app import main

if __name__ == "__main__":
    main()
