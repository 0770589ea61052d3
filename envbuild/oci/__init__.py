"""Images as documents and layers (OCI image-spec): references, manifests, layouts, archives."""
