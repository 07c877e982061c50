#!/usr/bin/env bash
# Runs the suite of tests/python with the published Python SDK against the built binary. Arguments go to pytest.
#
# FREEHOLD names the binary, PYTHON an interpreter with venv; both have defaults.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export FREEHOLD=${FREEHOLD:-$PWD/target/release/freehold}
if [ ! -x "$FREEHOLD" ]; then
    printf 'error: %s is not there\n  hint: cargo build --release -p freehold\n' "$FREEHOLD" >&2
    exit 1
fi

requirements=tests/python/requirements.txt
environment=$PWD/target/python-$(cksum <"$requirements" | cut -d' ' -f1)
if [ ! -e "$environment/ready" ]; then
    rm -rf -- "$environment"
    "${PYTHON:-/usr/bin/python3}" -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    : >"$environment/ready"
fi

exec "$environment/bin/python" -m pytest -p no:cacheprovider --rootdir=tests/python tests/python "$@"
