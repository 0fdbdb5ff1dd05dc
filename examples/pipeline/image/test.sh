#!/bin/bash
# Whether the image is good. It runs as root on an instance of it, in the commit's directory; the
# last line that a failing test prints becomes the reason.
set -euo pipefail

grep -q 'Hello' greeting.txt || { echo 'greeting.txt does not greet'; exit 1; }
