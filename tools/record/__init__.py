"""Records what AWS does in each phase of a custom resource's life, and tries the application there.

docs/recording.md says how to run it, and what the recordings contain.
"""
