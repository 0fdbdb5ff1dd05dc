"""botocore's models of AWS's APIs as an oracle: what they say of answers as they are sent.

botocore's own parsers ignore what they do not know, and take what they can.
"""
