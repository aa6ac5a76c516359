#!/bin/sh
# Starts the gateway, or the command given, as process 1 of the container.
#
# The script of the official image stays process 1 itself: it takes no signal, so that `docker stop` waits and then
# kills the gateway with what it has in memory. It also fills the configuration folder over what is there, and adds a
# public name server. This one does neither.
set -eu

: "${configs:=/thingsboard_gateway/config}"
: "${extensions:=/thingsboard_gateway/extensions}"
: "${logs:=/thingsboard_gateway/logs}"
: "${DEFAULT_CONFIG:=/default-config}"

# What somebody put on the volume stays. A new volume begins with the files of the official image, which make way.
fill() {
    mkdir -p "$2"
    for each in "$1"/*; do
        name=${each##*/}
        if [ ! -e "$2/$name" ] || cmp -s "$2/$name" "$DEFAULT_CONFIG/official/$name"; then
            cp -r "$each" "$2/"
        fi
    done
}

if [ ! -f "$configs/.firstlaunch" ]; then
    fill "$DEFAULT_CONFIG/config" "$configs"
    fill "$DEFAULT_CONFIG/extensions" "$extensions"
    echo "Without this file, missing files of the configuration are written anew." >"$configs/.firstlaunch"
fi

mkdir -p "$logs"

exec "$@"
