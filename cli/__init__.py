"""`instance-bundle`, the operators' command: what the application does, and what it has made.

It only reads, and only what has no secrets: of the ledger it requests the attributes that
`instance_bundle.state.inspection` names.
"""
