"""Images as OCI defines them: documents, layouts, archives, and how they travel."""
