# Sourced: what Hejnał needs of Debian 12, and how it gets there.
# shellcheck shell=bash

run_packages=(gcc make cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev
    libev-dev liblmdb-dev libxxhash-dev libck-dev libyaml-dev libpaho-mqtt-dev zlib1g-dev
    libcmocka-dev)
test_packages=(clang libclang-rt-14-dev clang-format python3 python3-pytest python3-paho-mqtt
    mosquitto-clients libfiu-dev fiu-utils nodejs npm git)

# install PACKAGE...: those that are missing, in one go; quick when all are there.
install_packages() {
    local missing=() package
    for package in "$@"; do
        case "$package" in # A program already here, from whatever source, will do.
        nodejs) command -v node >/dev/null && continue ;;
        npm) command -v npm >/dev/null && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing: ${missing[*]}" >&2
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" >/dev/null
}

# build_preset PRESET: configure and build it.
build_preset() {
    if command -v ccache >/dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache; fi
    cmake --preset "$1" >/dev/null
    cmake --build --preset "$1" -- --quiet
}
