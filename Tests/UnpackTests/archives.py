"""Makes archives, image layouts and the expected digest of a tree, independently of the program."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import platform
import stat
import subprocess
import tarfile

BLOCK = 512
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def entry(name, type=tarfile.REGTYPE, data=b"", mode=None, target="", uid=0, gid=0, device=(0, 0),
          mtime=1_000_000_000, xattrs=None):
    """A member: (TarInfo, data)."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = type, len(data), target
    default = 0o755 if type == tarfile.DIRTYPE else 0o777 if type == tarfile.SYMTYPE else 0o644
    info.mode = default if mode is None else mode
    info.uid, info.gid, info.mtime = uid, gid, mtime
    info.devmajor, info.devminor = device
    for key, value in (xattrs or {}).items():
        info.pax_headers[f"SCHILY.xattr.{key}"] = value
    return info, data


def directory(name, **more):
    return entry(name, tarfile.DIRTYPE, **more)


def file(name, data=b"", **more):
    return entry(name, tarfile.REGTYPE, data, **more)


def symlink(name, target, **more):
    return entry(name, tarfile.SYMTYPE, target=target, **more)


def hardlink(name, target):
    return entry(name, tarfile.LNKTYPE, target=target)


def device(name, type=tarfile.CHRTYPE, number=(1, 3)):
    return entry(name, type, device=number)


def fifo(name, **more):
    return entry(name, tarfile.FIFOTYPE, **more)


def tar(*entries, format=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format,
                      errors="surrogateescape") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


COMPRESSORS = {
    "plain": lambda data: data,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstd,
}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(document):
    return json.dumps(document).encode()


OCI = "application/vnd.oci.image."
SUFFIX = {"plain": "", "gz": "+gzip", "zst": "+zstd"}


class Layout:
    """An OCI image layout under construction: `files` maps its paths to bytes."""

    def __init__(self):
        self.files = {"oci-layout": encode({"imageLayoutVersion": "1.0.0"})}
        self.index = []

    def blob(self, data, media_type, **more):
        digest = sha256(data)
        self.files["blobs/sha256/" + digest.removeprefix("sha256:")] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def image(self, layers, config=None, compression="gz", architecture=MACHINE, diff_ids=None,
              manifest_changes=None):
        """Adds an image made of uncompressed layers; returns the manifest's descriptor."""
        descriptors = [
            self.blob(COMPRESSORS[compression](layer), f"{OCI}layer.v1.tar{SUFFIX[compression]}")
            for layer in layers]
        configuration = self.blob(encode({
            "os": "linux", "architecture": architecture, "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha256(x) for x in layers]},
        }), f"{OCI}config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json",
                    "config": configuration, "layers": descriptors, **(manifest_changes or {})}
        return self.blob(encode(manifest), f"{OCI}manifest.v1+json")

    def add(self, descriptor, tag=None):
        if tag:
            descriptor = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        self.index.append(descriptor)
        return self

    def tar(self):
        self.files.setdefault(
            "index.json", encode({"schemaVersion": 2, "manifests": self.index}))
        return tar(*(file(name, data) for name, data in self.files.items()))


def layout_of(*layers, **more):
    layout = Layout()
    return layout.add(layout.image(list(layers), **more))


def record(root, path):
    """The record of one object: see digest.h."""
    full = os.path.join(root, path)
    status = os.lstat(full)
    kind = {stat.S_IFDIR: b"d", stat.S_IFREG: b"f", stat.S_IFLNK: b"l", stat.S_IFIFO: b"p"}[
        stat.S_IFMT(status.st_mode)]
    size, content, target, names = 0, b"-", b"", []
    mode = 0o777 if kind == b"l" else stat.S_IMODE(status.st_mode)
    if kind == b"f":
        with open(full, "rb") as content_file:
            data = content_file.read()
        size, content = len(data), hashlib.sha256(data).hexdigest().encode()
    if kind == b"l":
        target = os.readlink(full)
    if kind in b"df":
        names = sorted(os.fsencode(x) for x in os.listxattr(full) if x.startswith("user."))
    out = b"%s %04o %d %d %d %s\0" % (kind, mode, status.st_uid, status.st_gid, size, content)
    out += (path or b".") + b"\0" + target + b"\0%d\0" % len(names)
    for name in names:
        value = os.getxattr(full, name)
        out += name + b"\0%d\0" % len(value) + value
    return out


def tree_digest(root):
    listing = [b"slice-tree 1\n"]

    def walk(path):
        listing.append(record(os.fsencode(root), path))
        full = os.path.join(os.fsencode(root), path)
        if os.path.isdir(full) and not os.path.islink(full):
            for name in sorted(os.listdir(full)):
                walk(os.path.join(path, name))
    walk(b"")
    return sha256(b"".join(listing))
