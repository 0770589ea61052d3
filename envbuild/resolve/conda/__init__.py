"""conda packages: from what is asked to exact files, solved for the target by conda-lock and py-rattler."""
