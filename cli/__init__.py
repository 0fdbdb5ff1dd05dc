"""`instance-bundle`, the operators' command: what the application does, and what it has made.

It reads only what has no secrets: of the ledger it requests the attributes that
`instance_bundle.state.inspection` names. `release` alone writes: it deletes the claim of a
location.
"""
