"""Getting a cluster back: a target is understood, a way to it is chosen, and a directory is written that reaches nothing of production.

``planning`` says as data what is to be done, ``run`` does it with the other files of this folder.
"""
