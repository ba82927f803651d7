"""Tests of slice-unpack. Run as root: /usr/bin/python3 Tests/UnpackTests/test_slice_unpack.py"""

import gzip
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sandbox
from archives import (COMPRESSORS, MACHINE, OCI, Layout, device, directory, encode, entry, fifo,
                      file, hardlink, layout_of, sha256, symlink, tar, tree_digest)

MIB = 1 << 20


class UnpackTestCase(unittest.TestCase):
    def setUp(self):
        self.staging = self.enterContext(sandbox.Staging())
        # Beside the staging directory: what a write that gets out would meet.
        self.outside = self.enterContext(tempfile.TemporaryDirectory())

    def run_unpack(self, arguments, archive):
        outcome = sandbox.run(self.staging.path, arguments, archive)
        self.assertIn(outcome.status, (0, 1), f"{sandbox.describe_status(outcome.status)}: "
                                              f"{outcome.stderr}")
        self.assertEqual(outcome.stderr, "")
        self.assertIsNotNone(outcome.result if outcome.status == 0 else outcome.error,
                             outcome.lines)
        return outcome

    def unpack(self, archive, *arguments, verb="tar"):
        """Unpacks what must be accepted; returns the result."""
        outcome = self.run_unpack([verb, *arguments], archive)
        self.assertEqual(outcome.status, 0, outcome.lines)
        return outcome.result

    def refuse(self, archive, message, *arguments, verb="tar"):
        """Unpacks what must be refused; returns the error."""
        outcome = self.run_unpack([verb, *arguments], archive)
        self.assertEqual(outcome.status, 1, outcome.lines)
        self.assertRegex(outcome.error["message"], message)
        return outcome.error

    def fresh(self):
        self.staging.clear()

    def digest_of(self, archive, *arguments, verb="tar"):
        self.fresh()
        return self.unpack(archive, *arguments, verb=verb)["digest"]

    def status(self, name):
        return os.lstat(self.staging.at(name))


SAMPLE = (
    directory("./", mode=0o755),
    directory("./usr", mode=0o755),
    directory("./usr/bin", mode=0o755),
    file("./usr/bin/tool", b"#!/bin/sh\n" * 100, mode=0o4755),
    symlink("./bin", "usr/bin"),
    hardlink("./usr/bin/again", "./usr/bin/tool"),
    file("./data", bytes(range(256)) * 300, mode=0o640, uid=33, gid=65535),
    fifo("./pipe", mode=0o620),
    file("./caf\u00e9 \u65e5\u672c", b"name"),
)


class FormatTests(UnpackTestCase):
    def test_all_compressions_give_the_same_tree(self):
        digests = {name: self.digest_of(compress(tar(*SAMPLE)))
                   for name, compress in COMPRESSORS.items()}
        self.assertEqual(len(set(digests.values())), 1, digests)

    def test_all_tar_formats_give_the_same_tree(self):
        digests = {self.digest_of(tar(*SAMPLE, format=format))
                   for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)}
        self.assertEqual(len(digests), 1)

    def test_content_and_metadata(self):
        result = self.unpack(tar(*SAMPLE))
        self.assertEqual(result["entries"], 8)
        self.assertEqual(result["bytes"], 2 * 1000 + 76800 + 4)
        self.assertIsNone(result["config"])
        self.assertEqual(self.staging.read("data"), bytes(range(256)) * 300)
        data = self.status("data")
        self.assertEqual((data.st_uid, data.st_gid, stat.S_IMODE(data.st_mode)),
                         (33, 65535, 0o640))
        self.assertEqual(data.st_mtime, 1_000_000_000)
        self.assertEqual(stat.S_IMODE(self.status("usr/bin/tool").st_mode), 0o4755)
        self.assertEqual(self.status("usr/bin/tool").st_ino, self.status("usr/bin/again").st_ino)
        self.assertTrue(stat.S_ISFIFO(self.status("pipe").st_mode))
        self.assertEqual(stat.S_IMODE(self.status("pipe").st_mode), 0o620)
        self.assertEqual(os.readlink(self.staging.at("bin")), "usr/bin")
        self.assertIn("caf\u00e9 \u65e5\u672c", self.staging.names())

    def test_directories_keep_their_times(self):
        self.unpack(tar(directory("d", mtime=1_111_111_111), file("d/a"), file("d/b"),
                        directory("d/sub"), symlink("d/c", "a"), hardlink("d/e", "d/a")))
        self.assertEqual(self.status("d").st_mtime, 1_111_111_111)

    def test_read_only_directories_are_filled(self):
        self.unpack(tar(directory("d", mode=0o555), file("d/a", b"x", mode=0o000)))
        self.assertEqual(self.staging.read("d/a"), b"x")

    def test_setgid_survives_a_foreign_group(self):
        self.unpack(tar(file("f", mode=0o6755, uid=5, gid=7), directory("d", mode=0o2775, gid=8)))
        self.assertEqual(stat.S_IMODE(self.status("f").st_mode), 0o6755)
        self.assertEqual(stat.S_IMODE(self.status("d").st_mode), 0o2775)

    def test_long_names_and_targets(self):
        name = "/".join(["n" * 200] * 10) + "/file"
        target = "t" * 3000
        for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            self.fresh()
            self.unpack(tar(file(name, b"deep"), symlink("link", target), format=format))
            self.assertEqual(self.staging.read(name), b"deep")
            self.assertEqual(os.readlink(self.staging.at("link")), target)

    def test_name_that_is_not_utf8(self):
        for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            self.fresh()
            self.unpack(tar(file("latin-\udce9", b"x"), format=format))
            self.assertEqual(os.listdir(os.fsencode(self.staging.at())), [b"latin-\xe9"])

    def test_decomposed_name_stays_as_it_is(self):
        self.unpack(tar(file("e\u0301", b"x")))
        self.assertEqual(self.staging.names(), ["e\u0301"])

    def test_sparse_files(self):
        source = os.path.join(self.outside, "sparse")
        with open(source, "wb") as out:
            out.seek(3 * MIB)
            out.write(b"middle")
            out.truncate(8 * MIB)
        expected = None
        for options in (["--format=gnu"], ["--format=pax", "--sparse-version=0.0"],
                        ["--format=pax", "--sparse-version=0.1"],
                        ["--format=pax", "--sparse-version=1.0"]):
            self.fresh()
            archive = subprocess.run(["tar", "-C", self.outside, "--sparse", *options, "-cf", "-",
                                      "sparse"], stdout=subprocess.PIPE, check=True).stdout
            self.assertLess(len(archive), MIB)
            digest = self.unpack(archive)["digest"]
            status = self.status("sparse")
            self.assertEqual(status.st_size, 8 * MIB)
            self.assertLess(status.st_blocks * 512, MIB)
            with open(source, "rb") as expected_content:
                self.assertEqual(self.staging.read("sparse"), expected_content.read())
            self.assertEqual(digest, expected or digest)
            expected = digest

    def test_archive_of_gnu_tar_with_its_own_record_size(self):
        for path in ("a", "b"):
            with open(os.path.join(self.outside, path), "wb") as out:
                out.write(os.urandom(5000))
        archive = subprocess.run(["tar", "-C", self.outside, "-b", "64", "-cf", "-", "."],
                                 stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(self.unpack(archive)["digest"], tree_digest(self.outside))

    def test_several_gzip_members(self):
        archive = tar(*SAMPLE)
        joined = gzip.compress(archive[:1000]) + gzip.compress(archive[1000:])
        self.assertEqual(self.digest_of(joined), self.digest_of(archive))

    def test_progress_lines(self):
        archive = tar(*[file(f"f{i}", os.urandom(MIB)) for i in range(64)])
        outcome = self.run_unpack(["tar"], archive)
        progress = [line["progress"] for line in outcome.lines[:-1]]
        self.assertGreater(len(progress), 0)
        for line in progress:
            self.assertEqual(set(line), {"readBytes", "entries", "writtenBytes"})
            self.assertLessEqual(line["readBytes"], len(archive))

    def test_input_from_a_pipe(self):
        reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        archive = tar(*SAMPLE)
        if os.fork() == 0:
            reader.stdout.close()
            reader.stdin.write(archive)
            reader.stdin.close()
            os._exit(0)
        reader.stdin.close()
        self.unpack(reader.stdout)
        reader.wait()
        os.wait()
        reader.stdout.close()


class HostileTests(UnpackTestCase):
    def test_parent_components(self):
        for name in ("../x", "a/../../x", "a/..", "..", "./../x"):
            self.fresh()
            error = self.refuse(tar(directory("a"), file(name)), r'"\.\."')
            self.assertEqual(error["entry"], name)

    def test_absolute_names(self):
        for name in ("/etc/passwd", "//x", "/"):
            self.fresh()
            self.refuse(tar(file(name)), "absolute")

    def test_hard_links(self):
        for target, message in (("../outside", r'"\.\."'), ("/etc/passwd", "absolute"),
                                ("missing", "not in the archive before it"), (".", "tree itself"),
                                ("no/such", "not in the archive before it"), ("d", "a directory")):
            self.fresh()
            self.refuse(tar(directory("d"), hardlink("link", target)), message)

    def test_hard_link_through_a_link_stays_inside(self):
        self.refuse(tar(symlink("out", "/"), hardlink("link", "out/etc/passwd")),
                    "not in the archive")

    def test_hard_link_to_a_symbolic_link_links_the_link(self):
        self.unpack(tar(symlink("link", "/etc/passwd"), hardlink("again", "link"),
                        file("again", b"new")))
        self.assertEqual(self.staging.read("again"), b"new")
        self.assertEqual(os.readlink(self.staging.at("link")), "/etc/passwd")

    def test_write_through_links_stays_inside(self):
        for target in (self.outside, "/" + "../" * 20 + self.outside, "../../../.." + self.outside):
            self.fresh()
            self.refuse(tar(symlink("out", target), file("out/planted", b"x")), "symbolic link to")
            self.assertEqual(os.listdir(self.outside), [])

    def test_link_to_the_root_leads_to_the_tree(self):
        self.unpack(tar(symlink("out", "/"), file("out/planted", b"x")))
        self.assertEqual(self.staging.read("planted"), b"x")
        self.assertFalse(os.path.exists("/planted"))

    def test_link_upwards_leads_to_the_tree(self):
        self.unpack(tar(symlink("up", "../../.."), file("up/planted", b"x")))
        self.assertEqual(self.staging.names(), ["planted", "up"])

    def test_link_loop(self):
        self.refuse(tar(symlink("a", "b"), symlink("b", "a"), file("a/x")), "parent directory")

    def test_file_replaces_a_link_itself(self):
        victim = os.path.join(self.outside, "victim")
        with open(victim, "w") as out:
            out.write("safe")
        self.unpack(tar(file("target", b"safe"), symlink("in", "target"), symlink("out", victim),
                        file("in", b"new"), file("out", b"new")))
        self.assertEqual(self.staging.read("target"), b"safe")
        self.assertEqual(self.staging.read("in"), b"new")
        with open(victim) as content:
            self.assertEqual(content.read(), "safe")

    def test_file_does_not_write_through_a_hard_link(self):
        self.unpack(tar(file("a", b"old"), hardlink("b", "a"), file("b", b"new")))
        self.assertEqual(self.staging.read("a"), b"old")

    def test_directory_entry_replaces_a_link(self):
        self.unpack(tar(directory("real"), file("real/x", b"1"), symlink("d", "real"),
                        directory("d", mode=0o700), file("d/y", b"2")))
        self.assertTrue(stat.S_ISDIR(self.status("d").st_mode))
        self.assertEqual(self.staging.names("real"), ["x"])
        self.assertEqual(self.staging.names("d"), ["y"])

    def test_duplicates_later_wins(self):
        self.unpack(tar(file("f", b"long old content"), file("f", b"new"), directory("d"),
                        file("d/a"), directory("d", mode=0o700), file("d/b"), directory("x"),
                        file("x/deep"), file("x", b"file now"), file("y", b"z"), directory("y")))
        self.assertEqual(self.staging.read("f"), b"new")
        self.assertEqual(self.staging.names("d"), ["a", "b"])
        self.assertEqual(stat.S_IMODE(self.status("d").st_mode), 0o700)
        self.assertEqual(self.staging.read("x"), b"file now")
        self.assertTrue(stat.S_ISDIR(self.status("y").st_mode))

    def test_hard_link_to_itself(self):
        self.unpack(tar(file("a", b"kept"), hardlink("a", "a"), hardlink("b", "a"),
                        hardlink("b", "a")))
        self.assertEqual(self.staging.read("a"), b"kept")
        self.assertEqual(self.staging.read("b"), b"kept")

    def test_hard_link_over_the_directory_that_holds_its_target(self):
        self.refuse(tar(directory("d"), file("d/a"), hardlink("d", "d/a")), "cannot make the hard")

    def test_root_entry_must_be_a_directory(self):
        for bad in (symlink("./", "/etc"), file(".", b"x"), hardlink("./", "a")):
            self.fresh()
            self.refuse(tar(file("a"), bad), "tree itself")

    def test_file_as_parent(self):
        self.refuse(tar(file("a", b"x"), file("a/b")), "parent directory a: Not a directory")

    def test_devices_are_skipped_and_counted(self):
        result = self.unpack(tar(directory("dev"), device("dev/null"),
                                 device("dev/sda", tarfile.BLKTYPE, (8, 0)),
                                 device("whiteout", number=(0, 0)), file("x")))
        self.assertEqual(result["skippedDevices"], 3)
        self.assertEqual(self.staging.names(), ["dev", "x"])
        self.assertEqual(self.staging.names("dev"), [])

    def test_ids(self):
        self.unpack(tar(file("a", uid=65535, gid=65535)))
        for who in ({"uid": 65536}, {"gid": 100000}, {"uid": 1 << 31}, {"uid": 1 << 40}):
            self.fresh()
            self.refuse(tar(file("a", **who)), "outside 0 to 65535")

    def test_names_that_are_too_long(self):
        self.refuse(tar(file("x" * 256)), "longer than 255")
        self.fresh()
        self.refuse(tar(file("/".join(["x" * 200] * 21))), "longer than 4095")

    def test_link_that_makes_a_path_too_long(self):
        deep = "/".join(["x" * 250] * 15)
        self.refuse(tar(directory(deep), symlink("s", deep), file("s/" + deep)), "longer than 4095")

    def test_deep_directories(self):
        deep = "/".join(["d"] * 2000)
        self.assertEqual(self.unpack(tar(file(deep, b"x")))["entries"], 2000)
        # Removing what is so deep needs more descriptors than there are: refused, not crashed.
        self.fresh()
        self.refuse(tar(file(deep, b"x"), file("d", b"y")), "cannot replace")

    def test_control_characters_are_escaped_in_messages(self):
        name = "evil\x1b]0;title\x07\n\u202e"
        error = self.refuse(tar(file(name + "/../x")), r'"\.\."')
        self.assertEqual(error["entry"], "evil\\x1b]0;title\\x07\\x0a\\xe2\\x80\\xae/../x")
        self.fresh()
        self.unpack(tar(file(name, b"x")))
        self.assertEqual(self.staging.names(), [name])

    def test_message_about_a_parent_is_escaped(self):
        error = self.refuse(tar(symlink("\x1b[2J", "nowhere"), file("\x1b[2J/x")), "nothing")
        self.assertNotIn("\x1b", json.dumps(error, ensure_ascii=False))

    def test_xattrs(self):
        self.unpack(tar(file("f", b"x", xattrs={
            "user.kept": "value", "user.overlay.opaque": "y", "trusted.overlay.opaque": "y",
            "security.capability": "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "system.posix_acl_access": "x"}), directory("d", xattrs={"user.dir": "1"})))
        self.assertEqual(os.listxattr(self.staging.at("f")), ["user.kept"])
        self.assertEqual(os.getxattr(self.staging.at("f"), "user.kept"), b"value")
        self.assertEqual(os.listxattr(self.staging.at("d")), ["user.dir"])

    def test_acls_are_dropped(self):
        info, data = file("f", b"x")
        info.pax_headers["SCHILY.acl.access"] = (
            "user::rwx,user:lp:rwx,group::r--,mask::rwx,other::---")
        self.unpack(tar((info, data)))
        self.assertEqual(os.listxattr(self.staging.at("f")), [])

    def test_contiguous_file_is_a_file(self):
        self.unpack(tar(entry("f", tarfile.CONTTYPE, b"x")))
        self.assertEqual(self.staging.read("f"), b"x")

    def test_unknown_typeflag_is_a_file(self):
        """As POSIX.1-2017 pax says."""
        self.unpack(tar(entry("odd", b"s", b"x")))
        self.assertEqual(self.staging.read("odd"), b"x")


class BoundTests(UnpackTestCase):
    def test_content_beyond_the_bound(self):
        archive = tar(file("a", b"x" * 600), file("b", b"x" * 600))
        self.unpack(archive, "--max-bytes", "1200")
        self.fresh()
        error = self.refuse(archive, "longer than 1199 bytes; raise --max-bytes", "--max-bytes",
                            "1199")
        self.assertEqual(error["entry"], "b")

    def test_compression_bomb(self):
        bomb = gzip.compress(tar(file("zeros", bytes(64 * MIB))))
        self.assertLess(len(bomb), MIB // 8)
        self.refuse(bomb, "longer than 1048576", "--max-bytes", str(MIB))
        self.assertEqual(self.staging.names(), [])

    def test_sparse_bomb(self):
        source = os.path.join(self.outside, "huge")
        with open(source, "wb") as out:
            out.truncate(1 << 43)
        archive = subprocess.run(["tar", "-C", self.outside, "-Scf", "-", "huge"],
                                 stdout=subprocess.PIPE, check=True).stdout
        self.refuse(archive, "longer than 68719476736")

    def test_twice_compressed(self):
        self.refuse(gzip.compress(COMPRESSORS["xz"](tar(file("a")))), "more than once")

    @unittest.skipIf(sandbox.SANITIZED, "takes long")
    def test_bomb_after_the_end(self):
        """What is not unpacked is bounded too: 8 GiB of zeros after the archive's end."""
        path = os.path.join(self.outside, "bomb.zst")
        with open(path, "wb") as out:
            compressor = subprocess.Popen(["zstd", "-qc"], stdin=subprocess.PIPE, stdout=out)
            compressor.stdin.write(tar(file("f")))
            for _ in range((2_000_000 * 4096) // MIB + 2):
                compressor.stdin.write(bytes(MIB))
            compressor.communicate()
        with open(path, "rb") as archive:
            self.refuse(archive, "uncompressed; raise --max-bytes", "--max-bytes", "1000")


class DamageTests(UnpackTestCase):
    def test_no_archive(self):
        for data, message in ((b"", "empty"), (b"hello, world\n" * 100, "not a tar|damaged"),
                              (b"\0" * 10240, "no entries"),
                              (os.urandom(5000), "damaged|not a tar"),
                              (gzip.compress(b""), "empty"),
                              (gzip.compress(b"x" * 600), "damaged|not a tar")):
            self.fresh()
            self.refuse(data, message)

    def test_missing_end_marker(self):
        archive = tar(file("a", bytes(4096)), file("b", bytes(4096)))
        entries = 2 * (512 + 4096)
        for compress in (COMPRESSORS["plain"], COMPRESSORS["gz"]):
            for length in (entries, entries + 512, 512 + 4096):
                self.fresh()
                self.refuse(compress(archive[:length]), "end marker")

    def test_content_after_the_end(self):
        self.refuse(tar(file("a")) + tar(file("hidden")), "goes on after its end marker")

    def test_truncation_anywhere(self):
        generator = random.Random(2)
        content = tar(*SAMPLE, file("noise", generator.randbytes(30000)))
        content = content[:len(content.rstrip(b"\0")) + 1024]
        count = 0
        for name, compress in COMPRESSORS.items():
            archive = compress(content)
            for position in sorted(generator.sample(range(len(archive) - 1), 50)):
                with self.subTest(compression=name, position=position):
                    self.fresh()
                    self.refuse(archive[:position], ".")
                    count += 1
        self.assertGreaterEqual(count, 200)

    def test_flipped_bytes_never_crash(self):
        generator = random.Random(3)
        content = tar(*SAMPLE, format=tarfile.PAX_FORMAT)
        for name in ("plain", "gz", "xz", "zst", "bz2"):
            archive = COMPRESSORS[name](content)
            for _ in range(40):
                damaged = bytearray(archive)
                for _ in range(generator.randint(1, 4)):
                    position = generator.randrange(min(len(damaged), 12000))
                    damaged[position] = generator.randrange(256)
                self.fresh()
                self.run_unpack(["tar"], bytes(damaged))  # asserts 0 or 1 with its line

    def test_staging_directory_in_use(self):
        os.mkdir(self.staging.at())
        self.refuse(tar(file("a")), "must be empty")


class DebianLikeTests(UnpackTestCase):
    def test_merged_usr(self):
        """As debootstrap's tree: links first, and entries below them in a later part."""
        self.unpack(tar(
            directory("./"), symlink("./bin", "usr/bin"), directory("./dev"),
            device("./dev/null"), directory("./etc"), symlink("./lib64", "/usr/lib64"),
            directory("./usr"), directory("./usr/bin"), directory("./usr/lib64"),
            file("./usr/bin/dash", b"dash", mode=0o755), symlink("./usr/bin/sh", "dash"),
            file("./bin/bash", b"bash", mode=0o755), hardlink("./bin/rbash", "./bin/bash"),
            file("./lib64/ld.so", b"ld"), file("./lib64/new/sub/file", b"made"),
            directory("./tmp", mode=0o1777)))
        self.assertEqual(self.staging.names("usr/bin"), ["bash", "dash", "rbash", "sh"])
        self.assertTrue(os.path.islink(self.staging.at("bin")))
        self.assertEqual(self.staging.read("usr/lib64/ld.so"), b"ld")
        self.assertEqual(self.staging.read("usr/lib64/new/sub/file"), b"made")
        self.assertEqual(stat.S_IMODE(self.status("tmp").st_mode), 0o1777)


class DigestTests(UnpackTestCase):
    def test_format_is_as_documented(self):
        attributes = {"user.b": "2", "user.a": "1"}
        result = self.unpack(tar(*SAMPLE, file("with", b"x", xattrs=attributes)))
        self.assertEqual(result["digest"], tree_digest(self.staging.at()))

    def test_digest_verb_finds_the_same(self):
        result = self.unpack(tar(*SAMPLE))
        again = sandbox.run(self.staging.at(), ["digest"], b"").result
        self.assertEqual(again, result)

    def test_digest_verb_sees_changes(self):
        result = self.unpack(tar(*SAMPLE))
        changes = (
            lambda: os.chmod(self.staging.at("data"), 0o600),
            lambda: os.chown(self.staging.at("data"), 1, 1),
            lambda: os.setxattr(self.staging.at("data"), "user.new", b""),
            lambda: os.rename(self.staging.at("data"), self.staging.at("data2")),
            lambda: os.chmod(self.staging.at(), 0o700))
        seen = {result["digest"]}
        for change in changes:
            change()
            seen.add(sandbox.run(self.staging.at(), ["digest"], b"").result["digest"])
        self.assertEqual(len(seen), len(changes) + 1)

    def test_digest_verb_refuses_devices(self):
        os.mkdir(self.staging.at())
        os.mknod(self.staging.at("null"), stat.S_IFCHR, os.makedev(1, 3))
        error = sandbox.run(self.staging.at(), ["digest"], b"").error
        self.assertIn("device", error["message"])
        self.assertEqual(error["entry"], "null")

    def test_order_times_and_links_do_not_matter(self):
        one = tar(directory("d"), file("d/b", b"2"), file("d/a", b"1"), file("c", b"1"))
        two = tar(file("c", b"1", mtime=5), directory("d", mtime=7), file("d/a", b"1"),
                  file("d/b", b"2"))
        three = tar(directory("d"), file("d/a", b"1"), hardlink("c", "d/a"), file("d/b", b"2"))
        self.assertEqual(len({self.digest_of(x) for x in (one, two, three)}), 1)

    def test_tar_and_oci_give_the_same(self):
        content = tar(*SAMPLE)
        self.assertEqual(self.digest_of(content),
                         self.digest_of(layout_of(content).tar(), verb="oci"))
        lower = tar(*SAMPLE[:4], file("./gone"), file("./data", b"old"))
        upper = tar(*SAMPLE[4:], file("./.wh.gone"))
        self.assertEqual(self.digest_of(content),
                         self.digest_of(layout_of(lower, upper).tar(), verb="oci"))


class OciTests(UnpackTestCase):
    def oci(self, layout, *arguments):
        self.fresh()
        result = self.unpack(layout.tar(), *arguments, verb="oci")
        self.assertEqual(os.listdir(self.staging.path), ["tree"])
        return result

    def refuse_oci(self, layout, message, *arguments):
        self.fresh()
        return self.refuse(layout.tar(), message, *arguments, verb="oci")

    def test_configuration(self):
        config = {"Entrypoint": ["/init"], "Cmd": ["a", "b"], "Env": ["PATH=/bin", "X="],
                  "User": "web:web", "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}}}
        result = self.oci(layout_of(tar(file("f")), config=config))
        self.assertEqual(result["config"], {
            "entrypoint": ["/init"], "cmd": ["a", "b"], "env": ["PATH=/bin", "X="],
            "user": "web:web", "workdir": "/srv"})

    def test_empty_configuration(self):
        empty = {"entrypoint": [], "cmd": [], "env": [], "user": "", "workdir": ""}
        for config in ({}, {"Entrypoint": None, "Cmd": None}):
            self.assertEqual(self.oci(layout_of(tar(file("f")), config=config))["config"], empty)

    def test_configuration_of_wrong_type(self):
        for config in ({"Cmd": "sh"}, {"Env": [1]}, {"Entrypoint": {}}):
            self.refuse_oci(layout_of(tar(file("f")), config=config), "not a list of strings")

    def test_compressions(self):
        digests = {self.oci(layout_of(tar(*SAMPLE), compression=c))["digest"]
                   for c in ("plain", "gz", "zst")}
        self.assertEqual(len(digests), 1)

    def test_compression_must_be_the_media_types(self):
        layout = Layout()
        layer = tar(file("f"))
        descriptor = layout.blob(gzip.compress(layer), f"{OCI}layer.v1.tar+zstd")
        layout.add(layout.image([layer], manifest_changes={"layers": [descriptor]}))
        self.refuse_oci(layout, "not a tar archive|damaged")

    def test_docker_media_types(self):
        layout = Layout()
        layer = tar(file("f", b"docker"))
        config = layout.blob(encode({"os": "linux", "architecture": MACHINE,
                                     "rootfs": {"diff_ids": [sha256(layer)]}}),
                             "application/vnd.docker.container.image.v1+json")
        blob = layout.blob(gzip.compress(layer),
                           "application/vnd.docker.image.rootfs.diff.tar.gzip")
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        layout.add(layout.blob(encode({"schemaVersion": 2, "mediaType": kind, "config": config,
                                       "layers": [blob]}), kind))
        self.oci(layout)
        self.assertEqual(self.staging.read("f"), b"docker")

    def test_layers_in_order(self):
        self.oci(layout_of(tar(file("f", b"1"), directory("d"), file("d/x", b"1")),
                           tar(file("f", b"2"), directory("d", mode=0o700), file("d/y", b"2")),
                           tar()))
        self.assertEqual(self.staging.read("f"), b"2")
        self.assertEqual(self.staging.names("d"), ["x", "y"])
        self.assertEqual(stat.S_IMODE(self.status("d").st_mode), 0o700)

    def test_layer_below_a_link_of_a_lower_layer(self):
        self.oci(layout_of(tar(directory("usr"), directory("usr/bin"), symlink("bin", "usr/bin")),
                           tar(file("bin/tool", b"x"))))
        self.assertEqual(self.staging.read("usr/bin/tool"), b"x")
        self.assertTrue(os.path.islink(self.staging.at("bin")))

    def test_whiteouts(self):
        lower = tar(file("gone"), file("kept"), directory("d"), directory("d/sub"),
                    file("d/sub/file"), file("d/other"))
        self.oci(layout_of(lower, tar(file(".wh.gone"), file("d/.wh.sub"), file(".wh.never"),
                                      file("no/such/.wh.x"), file("kept/.wh.y"))))
        self.assertEqual(self.staging.names(), ["d", "kept"])
        self.assertEqual(self.staging.names("d"), ["other"])
        self.assertEqual(self.status("d").st_mtime, 1_000_000_000)

    def test_whiteout_hides_nothing_of_its_own_layer(self):
        lower = tar(directory("d"), file("d/old"), file("f", b"old"))
        for entries in ((file("f", b"new"), file(".wh.f")), (file(".wh.f"), file("f", b"new"))):
            self.oci(layout_of(lower, tar(*entries)))
            self.assertEqual(self.staging.read("f"), b"new")

    def test_opaque_directories(self):
        lower = tar(directory("d"), file("d/old"), directory("d/sub"), file("d/sub/old"))
        for entries in ((directory("d"), file("d/new"), file("d/.wh..wh..opq")),
                        (directory("d"), file("d/.wh..wh..opq"), file("d/new")),
                        (file("d/.wh..wh..opq"), file("d/new"))):
            self.oci(layout_of(lower, tar(*entries)))
            self.assertEqual(self.staging.names("d"), ["new"])

    def test_opaque_directory_in_place_of_a_link(self):
        """The link's target in the lower layer is another directory, which must stay."""
        self.oci(layout_of(tar(directory("real"), file("real/kept"), symlink("d", "real")),
                           tar(directory("d"), file("d/.wh..wh..opq"), file("d/new"))))
        self.assertEqual(self.staging.names("real"), ["kept"])
        self.assertEqual(self.staging.names("d"), ["new"])

    def test_whiteout_does_not_leave_the_tree(self):
        victim = os.path.join(self.outside, "victim")
        with open(victim, "w"):
            pass
        self.oci(layout_of(tar(symlink("out", self.outside)), tar(file("out/.wh.victim"))))
        self.assertTrue(os.path.exists(victim))

    def test_hostile_whiteouts(self):
        lower = tar(directory("d"), file("d/x"))
        for name in (".wh.", ".wh..", ".wh...", "d/.wh..."):
            self.refuse_oci(layout_of(lower, tar(file(name))), "whiteout of")
        self.refuse_oci(layout_of(lower, tar(file(".wh.d/x"))), "reserves")
        self.refuse_oci(layout_of(lower, tar(file("../.wh.x"))), r'"\.\."')

    def test_aufs_files_are_left_out(self):
        self.oci(layout_of(tar(file("f"), file(".wh..wh.aufs"), file(".wh..wh.orph"))))
        self.assertEqual(self.staging.names(), ["f"])

    def test_hostile_layer(self):
        self.refuse_oci(layout_of(tar(file("../x"))), r'"\.\."')
        self.refuse_oci(layout_of(tar(hardlink("a", "/etc/passwd"))), "absolute")

    def test_hostile_names_of_the_layout(self):
        layout = layout_of(tar(file("f")))
        layout.files["../x"] = b""
        self.refuse_oci(layout, r'"\.\."')

    def test_layout_with_links(self):
        layout = layout_of(tar(file("f")))
        good = layout.tar()
        end = len(good.rstrip(b"\0"))
        end += -end % 512
        self.fresh()
        self.refuse(good[:end] + tar(symlink("blobs/sha256/" + "0" * 64, "/etc/passwd")),
                    "not a regular file", verb="oci")

    def test_layout_compressed_and_with_other_files(self):
        layout = layout_of(tar(file("f", b"x")))
        layout.files.update({"manifest.json": b"[]", "blobs/sha512/x": b"", "repositories": b"{}"})
        self.fresh()
        self.unpack(COMPRESSORS["xz"](layout.tar()), verb="oci")
        self.assertEqual(self.staging.read("f"), b"x")

    def test_not_a_layout(self):
        self.refuse(tar(file("etc/passwd")), "no oci-layout at its top", verb="oci")

    def test_layout_version(self):
        layout = layout_of(tar(file("f")))
        layout.files["oci-layout"] = encode({"imageLayoutVersion": "2.0.0"})
        self.refuse_oci(layout, '"2.0.0"; 1.0.0 is supported')

    def test_bad_json(self):
        for text, message in ((b"{", "not valid JSON"), (b"[]", "not a JSON object"),
                              (b'{"a":1,"a":2}', "duplicate"), (b"[" * 100000, "not valid JSON"),
                              (b"{}", "schemaVersion"), (b" " * (4 * MIB + 1), "longer than 4 MiB"),
                              (b'{"schemaVersion":2}', 'no list "manifests"'),
                              (b'{"schemaVersion":2,"manifests":[1,null,"x"]}', "exactly one")):
            layout = layout_of(tar(file("f")))
            layout.files["index.json"] = text
            self.refuse_oci(layout, message)

    def test_wrong_descriptors(self):
        for change, message in (({"digest": "sha256:../../etc/passwd"}, "not a SHA-256"),
                                ({"digest": "sha512:" + "0" * 128}, "not a SHA-256"),
                                ({"digest": None}, "not a SHA-256"), ({"size": -1}, "valid size"),
                                ({"size": "1"}, "valid size"),
                                ({"digest": "sha256:" + "0" * 64}, "lacks the blob"),
                                ({"size": 5}, "where its descriptor says 5")):
            layout = Layout()
            layout.add({**layout.image([tar(file("f"))]), **change})
            self.refuse_oci(layout, message)

    def damaged(self, kind, change):
        """A layout in which the blob of a kind (manifest, config, layer) is changed."""
        layout = layout_of(tar(file("f", b"x" * 5000)), compression="plain")
        for path, data in layout.files.items():
            found = "layer" if b"ustar" in data else "manifest" if b'"layers": [' in data \
                else "config" if b"diff_ids" in data else None
            if found == kind and path.startswith("blobs"):
                layout.files[path] = change(data)
        return layout

    def test_damaged_blobs(self):
        for kind in ("manifest", "config"):
            self.refuse_oci(self.damaged(kind, lambda data: data[:-1] + b" "), "damaged")
        self.refuse_oci(self.damaged("layer", lambda data: data.replace(b"xxxx", b"yyyy")),
                        "damaged: its digest")

    def test_truncated_blobs(self):
        for kind in ("manifest", "config", "layer"):
            self.refuse_oci(self.damaged(kind, lambda data: data[:-1]), "its descriptor says")

    def test_wrong_diff_id(self):
        layout = layout_of(tar(file("f")), diff_ids=[sha256(b"other")])
        self.refuse_oci(layout, "diff_id")
        layout = layout_of(tar(file("f")), diff_ids=[sha256(b"a"), sha256(b"b")])
        self.refuse_oci(layout, "1 layers, the configuration 2 diff_ids")

    def test_unsupported_media_types(self):
        layout = Layout()
        blob = layout.blob(b"x", f"{OCI}layer.v1.tar+encrypted")
        layout.add(layout.image([tar(file("f"))], manifest_changes={"layers": [blob]}))
        self.refuse_oci(layout, "not supported")
        layout = Layout()
        blob = layout.blob(b"{}", "application/vnd.example.chart+json")
        layout.add(layout.image([tar(file("f"))], manifest_changes={"config": blob}))
        self.refuse_oci(layout, "not a container image")

    def test_media_type_of_a_document_must_be_its_descriptors(self):
        layout = Layout()
        layout.add(layout.image([tar(file("f"))],
                                manifest_changes={"mediaType": f"{OCI}index.v1+json"}))
        self.refuse_oci(layout, "media type")

    def test_tags(self):
        layout = Layout()
        layout.add(layout.image([tar(file("one"))]), "v1")
        layout.add(layout.image([tar(file("two"))]), "v2")
        self.oci(layout, "--tag", "v2")
        self.assertEqual(self.staging.names(), ["two"])
        self.refuse_oci(layout, "name one with --tag; its tags: v1, v2")
        self.refuse_oci(layout, 'no image with the tag "v3".*: v1, v2', "--tag", "v3")

    def test_two_tags_of_one_image_are_no_question(self):
        layout = Layout()
        layout.add(layout.image([tar(file("one"))]), "v1")
        layout.add(layout.image([tar(file("one"))]), "v2")
        self.oci(layout)

    def test_nested_index_and_platforms(self):
        layout = Layout()
        mine = layout.image([tar(file("mine"))])
        foreign = layout.image([tar(file("foreign"))], architecture="pdp11")
        nested = layout.blob(encode({"schemaVersion": 2, "manifests": [
            {**foreign, "platform": {"os": "linux", "architecture": "pdp11"}},
            {**foreign, "platform": {"os": "unknown", "architecture": "unknown"}},
            {**mine, "platform": {"os": "linux", "architecture": MACHINE}}]}),
            f"{OCI}index.v1+json")
        self.oci(layout.add(nested, "latest"), "--tag", "latest")
        self.assertEqual(self.staging.names(), ["mine"])

    def test_image_for_another_machine(self):
        self.refuse_oci(layout_of(tar(file("f")), architecture="pdp11"),
                        "is for linux/pdp11, this host")

    def test_index_nested_too_deep(self):
        layout = Layout()
        descriptor = layout.image([tar(file("f"))])
        for _ in range(5):
            descriptor = layout.blob(encode({"schemaVersion": 2, "manifests": [descriptor]}),
                                     f"{OCI}index.v1+json")
        self.refuse_oci(layout.add(descriptor), "nested")

    def test_bounds_over_all_layers(self):
        layers = [tar(file(f"f{i}", os.urandom(4000))) for i in range(4)]
        self.refuse_oci(layout_of(*layers), "longer than", "--max-bytes", "15999")
        bomb = layout_of(tar(file("zeros", bytes(32 * MIB))))
        self.refuse_oci(bomb, "longer than 1048576", "--max-bytes", str(MIB))

    def test_truncated_layout(self):
        generator = random.Random(4)
        archive = layout_of(tar(*SAMPLE)).tar()
        end = len(archive.rstrip(b"\0")) + 1023
        for position in generator.sample(range(end), 40):
            self.fresh()
            self.refuse(archive[:position], ".", verb="oci")


def tool_tar(path):
    return subprocess.run(["tar", "-C", path, "--numeric-owner", "-cf", "-", "."],
                          stdout=subprocess.PIPE, check=True).stdout


@unittest.skipUnless(shutil.which("umoci"), "umoci is not installed")
class UmociTests(UnpackTestCase):
    def umoci(self, *arguments):
        subprocess.run(["umoci", *arguments], cwd=self.outside, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def make_layout(self):
        """Three layers, with a file removed and a directory replaced on the way."""
        rootfs = os.path.join(self.outside, "bundle", "rootfs")
        self.umoci("init", "--layout", "layout")
        self.umoci("new", "--image", "layout:v1")
        self.umoci("config", "--image", "layout:v1", "--config.entrypoint", "/bin/tool",
                   "--config.user", "33:33", "--config.workingdir", "/srv")
        self.umoci("unpack", "--image", "layout:v1", "bundle")
        os.makedirs(os.path.join(rootfs, "usr/bin"))
        os.makedirs(os.path.join(rootfs, "d/sub"))
        os.symlink("usr/bin", os.path.join(rootfs, "bin"))
        for name in ("usr/bin/tool", "d/sub/file", "d/other", "gone"):
            with open(os.path.join(rootfs, name), "w") as out:
                out.write(name * 1000)
        os.link(os.path.join(rootfs, "gone"), os.path.join(rootfs, "linked"))
        os.chown(os.path.join(rootfs, "linked"), 33, 44)
        self.umoci("repack", "--refresh-bundle", "--image", "layout:v1", "bundle")
        os.remove(os.path.join(rootfs, "gone"))
        shutil.rmtree(os.path.join(rootfs, "d"))
        with open(os.path.join(rootfs, "d"), "w") as out:
            out.write("a file now")
        self.umoci("repack", "--refresh-bundle", "--image", "layout:v1", "bundle")
        return os.path.join(self.outside, "layout"), rootfs

    def test_same_tree_as_umoci(self):
        layout, rootfs = self.make_layout()
        result = self.unpack(tool_tar(layout), "--tag", "v1", verb="oci")
        self.assertEqual(result["config"]["entrypoint"], ["/bin/tool"])
        self.assertEqual(result["config"]["user"], "33:33")
        self.assertEqual(result["config"]["workdir"], "/srv")
        self.assertEqual(result["digest"], tree_digest(rootfs))

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is not installed")
    def test_same_tree_after_skopeo_recompressed_it(self):
        layout, rootfs = self.make_layout()
        copy = os.path.join(self.outside, "copy")
        subprocess.run(["skopeo", "--insecure-policy", "copy", "--dest-compress-format", "zstd",
                        "--dest-compress", f"oci:{layout}:v1", f"oci:{copy}:v2"], check=True,
                       stdout=subprocess.DEVNULL)
        result = self.unpack(tool_tar(copy), verb="oci")
        self.assertEqual(result["digest"], tree_digest(rootfs))


class UsageTests(UnpackTestCase):
    def test_wrong_usage(self):
        for arguments in (["unknown"], ["tar", "--tag", "x"], ["tar", "--max-bytes", "-1"],
                          ["tar", "--max-bytes", "1x"], ["tar", "extra"], ["oci", "--tag"]):
            outcome = sandbox.run(self.staging.path, arguments, b"")
            self.assertEqual(outcome.status, 2, arguments)
            self.assertIn("usage:", outcome.stderr)


def main():
    if os.geteuid() != 0:
        sys.exit("these tests make trees with owners and devices: run them as root")
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    if len(sys.argv) > 1:
        suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed{skipped}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
