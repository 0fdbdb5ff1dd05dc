"""Who may call the sandbox.

A request is answered if it is made to one of the sandbox's own names, by no page of another origin,
and by a process of the user who runs the sandbox; everybody else needs the sandbox's access key.
"""
