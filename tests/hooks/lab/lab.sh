# What the hooks of the lab share: quick hooks with a real state, so that many crashes fit into a short time.
#
# A project is a folder `data` with an id that is drawn once, its token, a process that runs, and an entry in a register
# outside of its folder. `births` has a line for each id that was ever drawn.
set -eu
data=$FREEHOLD_DATA
here=${PROJECT_ROOT:-}
mkdir -p "$data/register"

# The processes of this project. There is at most one, unless something was done twice.
running() { pgrep -f "^tail -f $here/data/id\$" || true; }

start() {
    [ -z "$(running)" ] || return 0
    [ -e "$here/data/id" ] || { echo "the data is gone" >&2 && exit 1; }
    ( eval "exec $FREEHOLD_LOCK_FD>&-"; exec setsid tail -f "$here/data/id" </dev/null >/dev/null 2>&1 ) &
    until [ -n "$(running)" ]; do sleep 0.01; done
}

stop() {
    for process in $(running); do kill -9 "$process" 2>/dev/null || true; done
    while [ -n "$(running)" ]; do sleep 0.01; done
}

# Writes the token of standard input beside the data, whole or not at all.
keep_token() {
    awk -F '\t' '$1 == "secret" && $2 == "token" { printf "%s", $3 }' >"$here/data/token.new"
    mv "$here/data/token.new" "$here/data/token"
}
