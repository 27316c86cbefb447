"""One recovery point of a bucket: what is new or changed is fetched."""
