"""Folders, Git repositories and container images, protected as one system of kind ``files``."""
