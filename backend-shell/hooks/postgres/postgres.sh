# What the hooks of this folder share. Sourced, never run.
#
# Layout of a project, $PROJECT_ROOT (which belongs to whoever runs Freehold, mode 0711):
#   data/         PostgreSQL's data folder      } these three belong to the tenant: as root an operating-system user of
#   run/          its Unix socket               } the project's own, else the user who runs Freehold; mode 0700
#   log/          postgres.log                  }
#   provisioned   exists once the first provision was complete
#   remaking      exists while data whose loss was accepted is made anew
#
# Whatever lies in a folder of the tenant's is read and written as the tenant: a tenant who is superuser of the database
# may have put a link there. Secrets come on standard input and go on through pipes and files of mode 0600, never
# through arguments or the environment.
set -eu
umask 077
cd /
export LC_ALL=C.UTF-8

admin=freehold_admin # the bootstrap superuser: no password, only through the socket, only as the tenant's system user
login=postgres       # the role that people get
# `check` and `inventory` are about no project.
PROJECT_ROOT=${PROJECT_ROOT:-/nonexistent} PROJECT_REF=${PROJECT_REF:-none}
data=$PROJECT_ROOT/data run=$PROJECT_ROOT/run log=$PROJECT_ROOT/log/postgres.log
provisioned=$PROJECT_ROOT/provisioned remaking=$PROJECT_ROOT/remaking
uid=$(id -u)
if [ "$uid" = 0 ]; then tenant=fh_$PROJECT_REF; else tenant=$(id -un); fi
port='' password='' wish='' loss_accepted=''

# --- talking to Freehold ---------------------------------------------------------------------------------------------

# say KEY VALUE: adds a line to the answer.
say() { printf '%s=%s\n' "$1" "$2" >>"$FREEHOLD_OUTPUT"; }

# fail CODE MESSAGE: ends the hook. Codes as in sysexits.h: 65 the input is wrong, 69 try again, 70 a fault.
fail() {
    say MESSAGE "$2"
    echo "$2" >&2
    exit "$1"
}

# The document on standard input: kind, key and value, separated by tabs; in values \\ \t \n \r stand for themselves.
read_input() {
    while IFS='	' read -r kind key value; do
        case $kind/$key in
        port/postgres:5432:tcp) port=$value ;;
        secret/db_pass) password=$(printf '%b' "$value") ;;
        plan/wish) wish=$value ;;
        accept_data_loss/data) loss_accepted=yes ;;
        excluded/*) fail 65 "the service $key cannot be excluded: the stack is nothing without it" ;;
        first_run/*)
            mkdir -p "$FREEHOLD_TMP/first-run"
            printf '%b' "$value" >"$FREEHOLD_TMP/first-run/$key"
            ;;
        esac
    done
    [ -n "$port" ] || fail 65 "no port was given"
    [ -n "$password" ] || fail 65 "no password was given"
}

# --- the tenant ------------------------------------------------------------------------------------------------------

# exec_as_tenant PROGRAM ARGUMENT...: becomes the program, with the tenant's rights and an environment without ours.
exec_as_tenant() {
    set -- env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL="$LC_ALL" PGCONNECT_TIMEOUT=5 "$@"
    [ "$uid" = 0 ] || exec "$@"
    exec setpriv --reuid "$tenant" --regid "$tenant" --clear-groups --inh-caps=-all --no-new-privs "$@"
}

as_tenant() { (exec_as_tenant "$@"); }

# write_as_tenant FILE: writes standard input there, whole or not at all.
write_as_tenant() { as_tenant sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' sh "$1"; }

# make_folder FOLDER: an empty folder of the tenant's.
make_folder() {
    mkdir -m 0700 "$1"
    if [ "$uid" = 0 ]; then chown "$tenant:$tenant" "$1"; fi
}

tenant_exists() { id -u "$tenant" >/dev/null 2>&1; }

# add_or_remove PROGRAM ARGUMENT...: useradd or userdel. They fail when another one runs, so they take turns. One that is
# killed in the middle leaves a user without a group, so each has a session of its own and ends as it would, whatever
# becomes of this hook.
add_or_remove() { flock /run/freehold-users.lock setsid "$@"; }

# The home is nowhere that anything is looked for: it tells `inventory` which data folder the user belongs to. The number
# is one that nobody else gives: a user of a container is the same to the kernel as the machine's user of that number, and
# `kill_tenant` would reach it (images number theirs as Debian does, up to 65535; /etc/subuid begins at 100000).
make_tenant() {
    if [ "$uid" != 0 ] || tenant_exists; then return; fi
    add_or_remove useradd --system --user-group --no-log-init --no-create-home \
        -K SYS_UID_MIN=70000 -K SYS_UID_MAX=99999 -K SYS_GID_MIN=70000 -K SYS_GID_MAX=99999 \
        --home-dir "$PROJECT_ROOT/home" --shell /usr/sbin/nologin "$tenant" ||
        fail 70 "add the system user $tenant"
}

# The user's id is given to the next one, so nothing of its may stay where everybody can write. Those who still linger
# were killed, so that the only process that `userdel` may object to is a corpse.
remove_tenant() {
    if [ "$uid" != 0 ] || ! tenant_exists; then return; fi
    as_tenant find /tmp /var/tmp /dev/shm -xdev -user "$tenant" -delete 2>/dev/null || true
    add_or_remove userdel --force "$tenant" || fail 70 "remove the system user $tenant"
}

# --- PostgreSQL's programs ---------------------------------------------------------------------------------------------

# Sets $bin: what $POSTGRES_BIN says; else Debian's folder of the version that made the data, or the newest; else PATH.
find_postgres() {
    bin=${POSTGRES_BIN:-}
    if [ -n "$bin" ]; then return; fi
    version=$(as_tenant cat "$data/PG_VERSION" 2>/dev/null) || version=''
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
        if [ -x "$folder/postgres" ]; then bin=$folder; fi
        if [ -n "$bin" ] && [ "$folder" = "/usr/lib/postgresql/$version/bin" ]; then return; fi
    done
    if [ -n "$bin" ]; then return; fi
    bin=$(command -v postgres) ||
        fail 78 "find PostgreSQL's programs: install them (Debian: apt-get install postgresql) or set POSTGRES_BIN"
    bin=${bin%/*}
}

# --- the server ------------------------------------------------------------------------------------------------------

# alive PID: whether it runs. A corpse that nobody buried does not.
alive() {
    case $(cat "/proc/$1/stat" 2>/dev/null) in
    '' | *') Z '* | *') X '*) return 1 ;;
    esac
}

# Prints the server's process id, or fails if there is none. PostgreSQL works in its data folder, which no stranger
# who was given the old process id does.
server_pid() {
    pid=$(as_tenant head -n 1 "$data/postmaster.pid" 2>/dev/null) || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    [ "$(as_tenant readlink "/proc/$pid/cwd")" = "$data" ] || return 1
    echo "$pid"
}

# Prints the process ids of everything that the tenant runs here.
tenant_pids() {
    if [ "$uid" = 0 ]; then
        cat /proc/[0-9]*/status 2>/dev/null |
            awk -v uid="$(id -u "$tenant")" \
                '$1 == "State:" { dead = $2 ~ /[ZX]/ } $1 == "Pid:" { pid = $2 } $1 == "Uid:" && $2 == uid && !dead { print pid }'
    else
        find /proc/[0-9]*/cwd -maxdepth 0 -printf '%h\t%l\n' 2>/dev/null | while IFS='	' read -r process folder; do
            case $folder in "$data" | "$data/"* | "$data (deleted)") echo "${process#/proc/}" ;; esac
        done
    fi
}

# Ends what a server that was killed left behind, and what the tenant started through it. As root `kill -1` reaches all
# processes of the project's user and no others, also those that are being born meanwhile.
kill_tenant() {
    if ! tenant_exists; then return; fi
    while pids=$(tenant_pids) && [ -n "$pids" ]; do
        if [ "$uid" = 0 ]; then
            as_tenant sh -c 'kill -KILL -1' || true
        else
            kill -KILL $pids 2>/dev/null || true
        fi
        sleep 0.02
    done
}

# stop_server SIGNAL SECONDS: INT is a fast shutdown with a checkpoint, QUIT an immediate one. What is left is killed.
stop_server() {
    if pid=$(server_pid); then
        as_tenant sh -c 'kill "-$1" "$2"' sh "$1" "$pid" || true
        turns=$(($2 * 20))
        while [ "$turns" -gt 0 ] && alive "$pid"; do
            sleep 0.05
            turns=$((turns - 1))
        done
    fi
    kill_tenant
}

# Fails with PORT_TAKEN if somebody listens on the port (state 0A of /proc/net/tcp), before the server is touched.
check_port() {
    if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eq ":$(printf '%04X' "$port") [0-9A-F]+:0000 0A "; then
        say PORT_TAKEN "$port"
        fail 70 "port $port is held by another program"
    fi
}

# is_ready PID: waits until the server answers. Not if it ends before.
is_ready() {
    until as_tenant "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do
        alive "$1" || return 1
        sleep 0.05
    done
}

# Starts the server unless it runs, and waits until it answers. One that runs may still be on its way up, or down, from a
# call that was cut off.
start_server() {
    if starting=$(server_pid) && is_ready "$starting"; then return; fi
    kill_tenant
    # With nobody left, what names a server names a dead one, or a stranger who was given its process id.
    as_tenant rm -f "$data/postmaster.pid" "$run/.s.PGSQL.$port" "$run/.s.PGSQL.$port.lock"
    check_port
    configure_server
    # What is on the command line no ALTER SYSTEM of the tenant's can change. The server outlives the hook, so it
    # gets a session of its own and lets go of the lock and of standard input.
    (
        eval "exec $FREEHOLD_LOCK_FD>&-"
        exec_as_tenant setsid sh -c 'umask 077; log=$1; shift; exec "$@" </dev/null >>"$log" 2>&1' sh "$log" \
            "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories="$run" -c unix_socket_permissions=0700 -c hba_file="$data/pg_hba.conf" \
            -c ident_file="$data/pg_ident.conf" -c logging_collector=off -c lc_messages=C
    ) &
    starting=$!
    is_ready "$starting" || {
        as_tenant tail -n 20 "$log" >&2
        fail 70 "start PostgreSQL on port $port: it ended, see the log"
    }
}

# Who may come in how: people with a password, we through the socket as the tenant's system user.
configure_server() {
    write_as_tenant "$data/pg_hba.conf" <<RULES
local all $admin peer map=freehold
host all $admin all reject
host all all 127.0.0.1/32 scram-sha-256
RULES
    write_as_tenant "$data/pg_ident.conf" <<RULES
freehold "$tenant" $admin
RULES
    # One older log is kept once the present one is over 10 MiB.
    as_tenant sh -c 'if [ -n "$(find "$1" -size +10M 2>/dev/null)" ]; then mv -f "$1" "$1.1"; fi' sh "$log"
}

# --- SQL -------------------------------------------------------------------------------------------------------------

# As the bootstrap superuser. TERSE: an error does not repeat the statement, which may hold a password. In template1,
# since who owns a database chooses settings of every session in it, and people own the database postgres.
admin_psql() {
    as_tenant "$bin/psql" -X -q -w -v ON_ERROR_STOP=1 -v VERBOSITY=terse -h "$run" -p "$port" -U "$admin" -d template1 "$@"
}

# As the role that people get, with the password that they have.
login_psql() {
    if [ ! -e "$FREEHOLD_TMP/tenant" ]; then
        make_folder "$FREEHOLD_TMP/tenant"
        printf '*:*:*:*:%s\n' "$(printf '%s' "$password" | sed 's/[\\:]/\\&/g')" |
            write_as_tenant "$FREEHOLD_TMP/tenant/pgpass"
    fi
    as_tenant env PGPASSFILE="$FREEHOLD_TMP/tenant/pgpass" "$bin/psql" -X -q -w -A -t -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "$port" -U "$login" -d postgres "$@"
}

# Makes the given password the one that counts, whatever happened to it.
set_password() {
    admin_psql <<SQL || fail 70 "set the password of the role $login"
set standard_conforming_strings = on;
set log_statement = none; set log_min_error_statement = panic; set log_min_duration_statement = -1;
alter role $login login password '$(printf '%s' "$password" | sed "s/'/''/g")';
SQL
}

# Sets the password unless it is the one that counts already: to set it writes another verifier each time.
mend_password() { login_psql -c 'select 1' >/dev/null 2>&1 || set_password; }

# The server runs: says so, by a login as people do it.
report_ready() {
    version=$(login_psql -c "select split_part(current_setting('server_version'), ' ', 1)") ||
        fail 70 "log in as $login on port $port"
    say DATABASE_VERSION "$version"
}

# Whether there is nothing to start on: nothing at all, or a new server that was not made to its end.
data_is_gone() {
    if [ -e "$remaking" ]; then return 0; fi
    ! as_tenant test -s "$data/PG_VERSION"
}

# Before anything is touched: data that is gone is never made anew unasked.
expect_data() {
    [ -e "$provisioned" ] || fail 70 "start PostgreSQL: the project was never provisioned to the end"
    if ! data_is_gone; then return; fi
    if [ -z "$loss_accepted" ]; then
        say DATA_GONE data
        fail 70 "start PostgreSQL: its data in $data is gone"
    fi
    : >"$remaking"
    make_server
}

# Makes an empty server, whatever an earlier try left of one, and applies first-run files.
make_server() {
    make_tenant
    stop_server QUIT 5
    rm -rf "$data" "$run" "${log%/*}"
    check_port
    find_postgres
    for folder in "$data" "$run" "${log%/*}"; do make_folder "$folder"; done

    as_tenant "$bin/initdb" --pgdata "$data" --username "$admin" --auth-local peer --auth-host scram-sha-256 \
        --encoding UTF8 --locale C.UTF-8 >&2 || fail 70 "make a data folder in $data"
    start_server

    # As root the tenant may be anything inside: its server runs as a system user that reaches nothing else. Otherwise
    # it shares our user, and so it may touch neither files nor programs (and not make roles either: before
    # PostgreSQL 16 CREATEROLE may grant pg_execute_server_program).
    if [ "$uid" = 0 ]; then rights=superuser; else rights='nosuperuser createdb'; fi
    admin_psql <<SQL || fail 70 "make the role $login"
set password_encryption = 'scram-sha-256';
create role $login login $rights;
alter database postgres owner to $login;
SQL
    set_password
    # psql's own commands (\!, \copy from program) run as whoever runs psql. That may be the tenant's system user, never
    # ours; a psql that does not know \restrict (before August 2025) fails here.
    set --
    if [ "$uid" != 0 ]; then set -- -c "\\restrict $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; fi
    for file in "$FREEHOLD_TMP/first-run"/*; do
        if [ ! -e "$file" ]; then continue; fi
        login_psql --single-transaction "$@" -f - <"$file" >&2 || fail 65 "apply the first-run file ${file##*/}"
    done
    : >"$provisioned"
    rm -f "$remaking"
}

# Starts what is there.
start_provisioned() {
    find_postgres
    start_server
    mend_password
    report_ready
}
