import SliceModel
import Testing

@testable import SliceConfiguration

@Suite struct SliceFileTests {
  @Test func readsEveryKey() throws {
    let file = try SliceFile.parse(
      text: """
        image = "minimal"
        command = ["/bin/httpd", "-f"]
        env = { GREETING = "hello world", A = "" }
        user = "www-data"
        workdir = "/srv"
        restart = "on-failure"
        lease = "12h"

        [cpu]
        weight = 200
        max = "150%"
        set = "0-1"

        [memory]
        max = "256M"
        swap.max = 0

        [io.read]
        max = "10M"
        iops.max = 500

        [net]
        mode = "shared"
        ports = [80, "443"]

        [raw]
        allow = ["icmp", "udp:33434-33534"]

        [grant]
        observe = true

        [[mount]]
        type = "tmpfs"
        target = "/scratch"
        size = "64M"

        [[mount]]
        type = "tmpfs"
        target = "/more"
        """, fileName: "slice.toml")
    #expect(file.fields == Set(SliceFile.Field.allCases))
    #expect(file.spec.image == "minimal")
    #expect(file.spec.command == ["/bin/httpd", "-f"])
    #expect(file.spec.environment == ["GREETING=hello world", "A="])
    #expect(file.spec.user == "www-data")
    #expect(file.spec.workdir == "/srv")
    #expect(file.spec.restart == .onFailure)
    #expect(
      file.spec.settings.texts == [
        "cpu.weight": "200", "cpu.max": "150%", "cpu.set": "0-1", "memory.max": "256M",
        "memory.swap.max": "0", "io.read.max": "10M", "io.read.iops.max": "500",
        "net.mode": "shared", "net.ports": "80,443", "raw.allow": "icmp,udp:33434-33534",
        "lease": "12h", "grant.observe": "true",
      ])
    #expect(
      file.spec.mounts == [
        TemporaryMount(target: "/scratch", sizeBytes: 64 << 20), TemporaryMount(target: "/more"),
      ])
    try file.spec.validate()
  }

  @Test(arguments: ["", "# nothing\n", "\u{FEFF}", "\r\n\r\n", "[cpu]\n", "[memory.swap]"])
  func anEmptyFileSetsNothing(text: String) throws {
    let file = try SliceFile.parse(text: text, fileName: "slice.toml")
    #expect(file == SliceFile(spec: SliceSpec(), fields: []))
  }

  @Test(arguments: [
    "[memory.swap]\nmax = \"1M\"", "[memory]\nswap.max = \"1M\"", "memory.swap.max = \"1M\"",
    "\"memory.swap.max\" = \"1M\"", "[\"memory.swap\"]\nmax = \"1M\"",
    "memory = { swap = { max = \"1M\" } }", "memory.\"swap.max\" = 1048576",
  ])
  func everySpellingOfAKeyIsTheSame(text: String) throws {
    let file = try SliceFile.parse(text: text, fileName: "slice.toml")
    #expect(file.spec.settings.texts == ["memory.swap.max": "1M"])
    #expect(file.fields.isEmpty)
  }

  @Test(arguments: [
    ("cpu.weight = 200", "cpu.weight", "200"), ("cpu.weight = \"200\"", "cpu.weight", "200"),
    ("cpu.max = 2", "cpu.max", "200%"), ("cpu.max = 1.5", "cpu.max", "150%"),
    ("cpu.set = 3", "cpu.set", "3"), ("cpu.set = [0, 1, \"4-7\"]", "cpu.set", "0-1,4-7"),
    ("memory.max = 268435456", "memory.max", "256M"),
    ("memory.max = 0x10_0000", "memory.max", "1M"),
    ("lease = 90", "lease", "90s"), ("lease = 1.5", "lease", "1500ms"),
    ("net.max = 1000000", "net.max", "1M"), ("grant.nest = false", "grant.nest", "false"),
    ("raw.allow = \"icmp,tun\"", "raw.allow", "icmp,tun"),
  ])
  func valuesTakeTheirNaturalType(text: String, key: String, value: String) throws {
    let file = try SliceFile.parse(text: text, fileName: "slice.toml")
    #expect(file.spec.settings.texts == [key: value])
  }

  @Test(arguments: ["memory.max = \"max\"", "memory.max = \"default\"", "raw.allow = []"])
  func defaultsCanBeWritten(text: String) throws {
    #expect(try SliceFile.parse(text: text, fileName: "f").spec.settings == Settings())
  }

  @Test func environmentMayBeAnArray() throws {
    let file = try SliceFile.parse(text: "env = [\"B=1\", \"A=x=y\"]", fileName: "f")
    #expect(file.spec.environment == ["B=1", "A=x=y"])
  }

  /// Letters for which toml++ 3.3 has no branch.
  @Test func anyLetterMayFollowALineContinuation() throws {
    let text = "user = \"\"\"\\\n\u{A7}\u{32A}\"\"\""
    #expect(try SliceFile.parse(text: text, fileName: "f").spec.user == "\u{A7}\u{32A}")
  }

  @Test func aUserMayBeANumber() throws {
    #expect(try SliceFile.parse(text: "user = 33", fileName: "f").spec.user == "33")
  }

  @Test func contradictionsWaitForTheCommandLine() throws {
    let text = "memory = { min = \"2G\", max = \"1G\" }"
    var file = try SliceFile.parse(text: text, fileName: "slice.toml")
    #expect(throws: SliceError.self) { try file.spec.validate() }
    try file.spec.settings.apply(["memory.max=4G"])
    try file.spec.validate()
  }
}

/// A bad text, and what is said of it.
struct BadText: CustomTestStringConvertible, Sendable {
  var text: String
  var message: String
  var hint: String?
  init(_ text: String, _ message: String, hint: String? = nil) {
    self.text = text
    self.message = message
    self.hint = hint
  }
  var testDescription: String { text }
}

@Suite struct SliceFileErrorTests {
  @Test(arguments: [
    BadText(
      "image = \"é\n", "1:11: syntax error in string: unescaped control characters other than TAB"),
    BadText(
      "a = 1\na = 2\n", "2:5: syntax error in key-value pair: cannot redefine existing integer"),
    BadText("[cpu\n", "1:5: syntax error in table header: expected ']', saw '\\n'"),
    BadText("[cpu]\n[cpu]\n", "2:1: syntax error in table header: cannot redefine existing table"),
    BadText("[[[a]]]", "1:3: syntax error in key: expected bare key starting character"),
    BadText("image =\n", "1:8: syntax error in key-value pair"),
    BadText("image", "1:6: syntax error in key-value pair: encountered end-of-file"),
    BadText("image = host", "1:9: syntax error in value"),
    BadText("x = \"a\u{0}\"", "1:7: syntax error in string"),
    BadText(
      "x = [[[[[[[[[1]]]]]]]]]", "1:13: syntax error in value: exceeded maximum"),
    BadText(
      "# 1\n" + String(repeating: "a.", count: 400_000) + "a = 1",
      "2:1: syntax error: the line has more than 256 dots"),
  ])
  func syntax(bad: BadText) { expectRefusal(bad) }

  @Test(arguments: [
    BadText("colour = 1", "1:1: unknown key 'colour'", hint: "slice.toml(5) lists the keys"),
    BadText("imgae = \"host\"", "1:1: unknown key 'imgae'", hint: "did you mean 'image'?"),
    BadText("\n  [memroy]\nmax = 1", "2:4: unknown key 'memroy'", hint: "did you mean 'memory'?"),
    BadText(
      "[memory]\nmaximum = 1", "2:1: unknown key 'memory.maximum'",
      hint: "did you mean 'memory.max'?"),
    BadText("[io.raed]\nmax=1", "1:5: unknown key 'io.raed'", hint: "did you mean 'io.read'?"),
    BadText("cpu.wieght = 1", "1:5: unknown key 'cpu.wieght'", hint: "did you mean 'cpu.weight'?"),
    BadText(
      "[grant]\nzzzzzzzzz = true", "2:1: unknown key 'grant.zzzzzzzzz'", hint: "keys of grant: "),
    BadText(
      "[cpu]\nweight = 1\nimage = \"host\"", "3:1: unknown key 'cpu.image'",
      hint: "write 'image' above the first [table]"),
    BadText("\"a\\u001b[2J\" = 1", "1:1: unknown key 'a\\u{1b}[2J'"),
    BadText(
      "\(String(repeating: "k", count: 5000)) = 1",
      "1:1: unknown key '\(String(repeating: "k", count: 80))…'"),
    // The first mistake in the order of the file is the one told.
    BadText("zz = 1\naa = 1", "1:1: unknown key 'zz'"),
  ])
  func unknownKeys(bad: BadText) { expectRefusal(bad) }

  @Test(arguments: [
    BadText(
      "[memory]\nmax = \"2X\"", "2:7: memory.max=2X is not valid",
      hint: "memory.max takes a size such as 256M"),
    BadText("[cpu]\n  weight =  0", "2:13: cpu.weight=0 is not valid", hint: "from 1 to 10000"),
    BadText("cpu.weight = -5", "1:14: cpu.weight=-5 is not valid"),
    BadText(
      "cpu.weight = 1.5", "1:14: cpu.weight: expected a whole number from 1 to 10000, found 1.5"),
    BadText(
      "cpu.weight = true", "1:14: cpu.weight: expected a whole number from 1 to 10000, found true"),
    BadText("cpu.weight = \"٣\"", "1:14: cpu.weight=٣ is not valid"),
    BadText("cpu.max = nan", "1:11: cpu.max=nan is not valid"),
    BadText(
      "[cpu.weight]\nx = 1",
      "1:1: cpu.weight: expected a whole number from 1 to 10000, found a table"),
    BadText("cpu = 5", "1:7: cpu: expected a table with keys such as cpu.weight, found 5"),
    BadText("memory.max = \"\"", "1:14: memory.max: expected a size such as 256M"),
    BadText("memory.max = [1]", "1:14: memory.max: expected a size such as 256M"),
    BadText("memory.max = 2020-01-01", "1:14: memory.max: expected a size such as 256M"),
    BadText("grant.nest = 1", "1:14: grant.nest: expected true or false, found 1"),
    BadText("grant.nest = \"yes\"", "1:14: grant.nest=yes is not valid", hint: "true or false"),
    BadText(
      "raw.allow = [\"a,b\"]",
      "1:13: raw.allow: expected a list separated by commas, found an array"),
    BadText("raw.allow = [\"\"]", "1:13: raw.allow: expected a list"),
    BadText("raw.allow = 5", "1:13: raw.allow: expected a list separated by commas, found 5"),
    BadText(
      "\"memory.max\" = \"1G\"\n[memory]\nmax = \"2G\"",
      "3:1: memory.max is set twice, first in line 1"),
    BadText(
      "net.mode = \"bridge\"", "1:12: net.mode=bridge is not valid",
      hint: "one of routed, shared, none"),
    BadText("net.mode = \"\\u001b[2J\"", "1:12: net.mode=\\u{1b}[2J is not valid"),
  ])
  func settings(bad: BadText) { expectRefusal(bad) }

  @Test(arguments: [
    BadText("image = 5", "1:9: image: expected the name or digest of an image, in quotes, found 5"),
    BadText(
      "image = \"../x\"",
      "1:9: image: expected the name or digest of an image, in quotes, found '../x'"),
    BadText(
      "command = \"a b\"", "1:11: command: expected an array of strings, found 'a b'",
      hint: "write command = [\"PROGRAM\", \"ARG\"]"),
    BadText("command = [\"a\", 5]", "1:17: command: expected a string, found 5"),
    BadText("command = []", "1:11: command: the command is empty"),
    BadText("command = [\"a\\u0000\"]", "1:11: command: the command contains a NUL byte"),
    BadText(
      "env = \"A=1\"",
      "1:7: env: expected a table of strings, or an array of \"NAME=VALUE\", found 'A=1'"),
    BadText("[env]\nPORT = 80", "2:8: env.PORT: expected a string, in quotes, found 80"),
    BadText("[env]\n\"A=B\" = \"1\"", "2:1: env: 'A=B' is not the name of a variable"),
    BadText("[env]\n\"\" = \"1\"", "2:1: env: '' is not the name of a variable"),
    BadText("env = [\"A=1\",\n\"B\"]", "2:1: env: environment entry 'B' is not NAME=VALUE"),
    BadText("env = [1]", "1:8: env: expected \"NAME=VALUE\", found 1"),
    BadText("user = \"a/b\"", "1:8: user: 'a/b' is not a user", hint: "write NAME, UID"),
    BadText(
      "user = -1", "1:8: user: expected a user such as \"www-data\", 33 or \"33:33\", found -1"),
    BadText("user = 4294967296", "1:8: user: expected a user"),
    BadText("workdir = \"srv\"", "1:11: workdir: working directory 'srv' is not an absolute path"),
    BadText("workdir = []", "1:11: workdir: expected an absolute path, in quotes, found an array"),
    BadText(
      "restart = true",
      "1:11: restart: expected one of \"no\", \"on-failure\", \"always\", found true"),
    BadText("restart = \"never\"", "1:11: restart: expected one of"),
  ])
  func fields(bad: BadText) { expectRefusal(bad) }

  @Test(arguments: [
    BadText(
      "[mount]\ntarget = \"/x\"", "1:1: mount: expected a list of tables, found a table",
      hint: "write [[mount]] above each"),
    BadText("mount = 1", "1:9: mount: expected a list of [[mount]] tables, found 1"),
    BadText("mount = [1]", "1:10: mount: expected a table, found 1"),
    BadText("[[mount]]\ntarget = \"/x\"", "1:1: mount: type is missing; write \"tmpfs\""),
    BadText("[[mount]]\ntype = \"bind\"", "2:8: mount.type: expected \"tmpfs\", found 'bind'"),
    BadText("[[mount]]\ntype = \"tmpfs\"", "1:1: mount: target is missing"),
    BadText(
      "[[mount]]\ntype = \"tmpfs\"\ntarget = \"/dev\"",
      "3:10: mount.target: mount target '/dev' belongs to the runtime"),
    BadText("[[mount]]\ntype = \"tmpfs\"\ntarget = \"a/../b\"", "3:10: mount.target: mount target"),
    BadText(
      "[[mount]]\ntype = \"tmpfs\"\ntarget = \"/x\"\nsize = \"big\"",
      "4:8: mount.size: expected a size such as \"64M\", found 'big'"),
    BadText(
      "[[mount]]\ntype = \"tmpfs\"\ntarget = \"/x\"\nsize = 0",
      "4:8: mount.size: mount '/x' has a size of 0"),
    BadText(
      "[[mount]]\ntype = \"tmpfs\"\ntarget = \"/x\"\nsiez = 0", "4:1: unknown key 'mount.siez'",
      hint: "did you mean 'size'?"),
    BadText(
      "mount = [{type = \"tmpfs\", target = \"/x\"},\n{type = \"tmpfs\", target = \"/x\"}]",
      "2:1: mount: '/x' is mounted twice"),
  ])
  func mounts(bad: BadText) { expectRefusal(bad) }

  @Test func invalidUTF8HasAPlace() {
    let error = #expect(throws: SliceError.self) {
      try SliceFile.parse(bytes: Array("image = \"".utf8) + [0xFF, 0x22], fileName: "slice.toml")
    }
    #expect(error?.message.hasPrefix("slice.toml:1:9: syntax error: ") == true)
  }

  @Test func anOverlongFileIsRefused() throws {
    let comment = "#" + String(repeating: "x", count: 1 << 20)
    #expect(throws: SliceError.self) { try SliceFile.parse(text: comment, fileName: "f") }
    _ = try SliceFile.parse(text: String(comment.dropLast()), fileName: "f")
  }

  @Test func aFileNameCannotDriveTheTerminal() {
    let error = #expect(throws: SliceError.self) {
      try SliceFile.parse(text: "a", fileName: "\u{1B}[2J")
    }
    #expect(error?.message.hasPrefix("\\u{1b}[2J:1:2: ") == true)
  }

  /// Deeper than anything here needs, and within the bounds: neither crash nor success.
  @Test func deepNestingIsRefused() {
    let key = Array(repeating: "a", count: 250).joined(separator: ".")
    let text = "[\(key)]\n\(key) = [\n{\(key) = [\n{\(key) = [\n{\(key) = 1}]}]}]"
    expectRefusal(BadText(text, "1:2: unknown key 'a'"))
  }

  /// Damaged in any way a file is read or refused with its place, and never crashes.
  @Test func damagedFilesAreReadOrRefused() {
    let good = Array(
      """
      command = ["a", "b"]
      [env]
      A = "é"
      [memory]
      max = "1G"
      swap.max = 0x10
      [[mount]]
      type = "tmpfs"
      target = "/x"
      """.utf8)
    var seeded = SeededGenerator(seed: 9)
    let punctuation = Array("[]{}=.\"'\n#,0".utf8)
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &seeded) {
        let index = Int.random(in: bytes.indices, using: &seeded)
        switch Int.random(in: 0..<3, using: &seeded) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &seeded)
        case 1: bytes.remove(at: index)
        default: bytes.insert(punctuation.randomElement(using: &seeded)!, at: index)
        }
      }
      do {
        _ = try SliceFile.parse(bytes: bytes, fileName: "f")
      } catch {
        #expect(error.code == .usage && error.message.hasPrefix("f:"))
      }
    }
  }

  private func expectRefusal(
    _ bad: BadText, sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: SliceError.self, sourceLocation: sourceLocation) {
      try SliceFile.parse(text: bad.text, fileName: "slice.toml")
    }
    check(error, bad, "slice.toml", sourceLocation: sourceLocation)
  }
}

func check(
  _ error: SliceError?, _ bad: BadText, _ fileName: String,
  sourceLocation: Testing.SourceLocation
) {
  guard let error else { return }
  #expect(error.code == .usage, sourceLocation: sourceLocation)
  #expect(
    error.message.hasPrefix("\(fileName):\(bad.message)"), "\(error)",
    sourceLocation: sourceLocation)
  if let hint = bad.hint {
    #expect(error.hint?.contains(hint) == true, "\(error)", sourceLocation: sourceLocation)
  }
}
