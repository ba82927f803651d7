# Sourced by the adapters, which are run as: NAME ROOT ARGUMENT…
# ROOT is a directory with slice-probe as /probe. Makes $bundle, a directory for one container beside it, with a
# copy of that root in it: $root. Whoever made ROOT removes both.
set -eu
bundle=$(mktemp -d "$1.XXXXXX")
root=$bundle/rootfs
chmod 755 "$bundle"
cp -R "$1" "$root"
shift

# Writes the runtime's own default configuration into the bundle, with slice-probe as the command and no terminal.
# usage: oci_bundle ARGUMENT…
oci_bundle() {
  "${specification[@]}"
  python3 - "$bundle/config.json" "$root" /probe "$@" <<'END'
import json, sys
path, root, *command = sys.argv[1:]
config = json.load(open(path))
config["process"].update(terminal=False, args=command)
config["root"]["path"] = root
json.dump(config, open(path, "w"))
END
}
