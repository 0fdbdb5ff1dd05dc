#!/bin/bash
# What an image of this commit holds. It runs as root on the builder, in the commit's directory.
set -euo pipefail

echo 'Hello from this image' > greeting.txt
