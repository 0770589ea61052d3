"""The packages of a lock: shown as a tree, explained one by one, compared with what there is by now."""
