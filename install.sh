#!/bin/sh
# ./install.sh EXTRAS: this package with extras, at the versions of constraints.txt, into .venv. With uv, which takes a fifth of pip's time, or
# with pip where uv cannot be had. uv does not read pip's configuration, so what that says of where packages are is handed on.
set -euf
extras=${1:?expected extras of the package, as test,view}
cd "$(dirname "$0")"
bin=.venv/bin
[ -x "$bin/python" ] || "${PYTHON:-python3}" -m venv .venv

pip_setting() {  # an option of pip from the environment, or else from its configuration files
    from_environment=$(printenv "PIP_$(echo "$1" | tr 'a-z-' 'A-Z_')") || from_environment=
    if [ -n "$from_environment" ]; then echo "$from_environment"; else "$bin/pip" config get "global.$1" 2>/dev/null || true; fi
}

with_uv() {
    "$bin/pip" install --quiet --disable-pip-version-check uv || return 1
    links=$(pip_setting find-links) index=$(pip_setting index-url) certificate=$(pip_setting cert)
    [ -z "$links" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-$(echo $links | tr ' ' ',')}"
    [ -z "$(pip_setting no-index)" ] || export UV_NO_INDEX="${UV_NO_INDEX:-1}"
    [ -z "$(pip_setting extra-index-url)" ] || export UV_INDEX="${UV_INDEX:-$(pip_setting extra-index-url)}"
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$certificate" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificate}"
    "$bin/uv" pip install --quiet --python "$bin/python" --compile-bytecode --constraint constraints.txt --editable ".[$extras]"
}

with_uv || {
    echo "uv did not install the packages; pip does, which takes a minute" >&2
    # torch first and alone: pip would otherwise weigh a newer one that another package admits
    "$bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt "$(grep ^torch== constraints.txt)"
    "$bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]"
}
