"""Stand-ins for the services that `envbuild` talks to, all on the loopback interface."""
