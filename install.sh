#!/bin/sh
# ./install.sh EXTRAS [PACKAGE ...]: this package with extras, and other packages, at the versions of constraints.txt, into $VENV, else .venv.
# With uv, which takes a fifth of pip's time, or with pip where uv cannot be had. uv does not read pip's configuration, so what that says of where packages are is handed on.
set -euf
extras=${1:?expected extras of the package, as test,view}
shift
cd "$(dirname "$0")"
venv=${VENV:-.venv}
bin=$venv/bin
[ -x "$bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"

pip_setting() {  # an option of pip from the environment, which is listed first, or else from its configuration files
    printf '%s\n' "$settings" | sed -nE "s/^(:env:|global)\.$1='(.*)'\$/\2/p" | head -n 1 | sed 's/\\n/ /g; s/^ *//'
}

hand_on() {  # hand_on VARIABLE VALUE: to uv, unless the user has set it or there is nothing to say
    [ -z "$2" ] || [ -n "$(printenv "$1")" ] || export "$1=$2"
}

with_uv() {
    "$bin/pip" install --quiet --disable-pip-version-check uv || return 1
    settings=$("$bin/pip" config list 2>/dev/null) || settings=
    hand_on UV_FIND_LINKS "$(pip_setting find-links | tr -s ' ' ',')"
    hand_on UV_DEFAULT_INDEX "$(pip_setting index-url)"
    hand_on UV_INDEX "$(pip_setting extra-index-url)"
    # pip takes the best version of all indexes; uv would take the first index that has the package at all
    hand_on UV_INDEX_STRATEGY "$(pip_setting extra-index-url | sed 's/..*/unsafe-best-match/')"
    hand_on UV_NO_INDEX "$(pip_setting no-index | sed 's/..*/1/')"
    hand_on SSL_CERT_FILE "$(pip_setting cert)"
    hand_on UV_COMPILE_BYTECODE 1
    "$bin/uv" pip install --quiet --python "$bin/python" --constraint constraints.txt --editable ".[$extras]" "$@"
}

with_uv "$@" || {
    echo "uv did not install the packages; pip does, which takes a minute" >&2
    case ",$extras," in
    *,train,*)  # torch first and alone: pip would otherwise weigh a newer one that another package admits
        "$bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt "$(grep ^torch== constraints.txt)" ;;
    esac
    "$bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]" "$@"
}
