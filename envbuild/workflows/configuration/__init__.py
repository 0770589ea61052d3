"""The user's configuration file: its keys, how it is read, and how it joins the environment variables."""
