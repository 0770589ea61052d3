"""Private roots of the local engine: unpacked layers in which commands of an image run."""
