"""Files that describe containers: Dockerfiles, dev containers, Cog and Binder; what base images stand for."""
