"""System packages, chosen by the distribution's own apt in a private root: docs/adr/0004-apt-decides.md."""
