"""What envbuild does, one module a verb: joins the rooms below to this machine."""
