"""Programs that install packages, as shell lines call them: what each command asks for."""
