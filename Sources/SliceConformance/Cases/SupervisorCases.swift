import Glibc
import SliceModel

/// The supervisor and its client: who may do what, what is refused before anything is built, and what a hostile
/// client or slice can do to others.
enum SupervisorCases {
  static let all: [ConformanceCase] = [
    .script(
      "supervisor.foreign-slice", "an owner neither sees nor touches another owner's slice",
      "unix(7), SO_PEERCRED", needs: [.authorization], foreign),
    .script(
      "supervisor.stop-all", "only administrators stop all slices", "Docs/security.md",
      needs: [.authorization], stopAll),
    .script(
      "supervisor.names", "a name that is a path, or none, is refused before anything is built",
      "path_resolution(7)", needs: [.validation], names),
    .script(
      "supervisor.values", "limits, ids and places that can't be are refused", "CVE-2021-43784",
      needs: [.validation], values),
    .script(
      "supervisor.large-message", "a message without end is refused, and others are served",
      "CVE-2021-43784", needs: [.messageBounds], largeMessage),
    .script(
      "supervisor.many-connections",
      "a client with many connections and half a message on each keeps nobody from being served",
      "unix(7)", needs: [.messageBounds], manyConnections),
    .script(
      "supervisor.escapes",
      "what a slice prints or is called reaches no terminal as a control sequence",
      "CVE-2003-0063, console_codes(4)", needs: [.escaping], escapes),
  ]

  private static func foreign(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    let seen = try bed.asStranger(["--json", "list"])
    guard seen.status == 0 else { return .error(seen.complaint) }
    if seen.output.contains("\"\(slice)\"") {
      return .fail("list shows \(slice) to user \(TestBed.stranger)")
    }
    for arguments in [
      ["inspect", slice], ["logs", slice], ["exec", slice, "--", "/probe", "list"],
      ["stop", slice],
      ["kill", slice], ["pause", slice], ["set", slice, "cpu.weight=1"],
      ["destroy", "--force", slice],
      ["restart", slice], ["shares", slice],
    ] {
      let result = try bed.asStranger(arguments)
      guard result.status == 4 || result.status == 3 else {
        return .fail(
          "user \(TestBed.stranger) had status \(result.status) for \(arguments.joined(separator: " "))"
        )
      }
    }
    // The owner may, all the same.
    let own = try bed.slicectl(["inspect", slice])
    return own.status == 0 ? .pass : .fail("the slice did not survive: \(own.complaint)")
  }

  /// Tried by who may not: nothing happens. Its control would stop all slices of the host, so there is none but
  /// that an ordinary call of the same user is answered.
  private static func stopAll(_ bed: TestBed) throws -> Verdict {
    let allowed = try bed.asStranger(["--json", "list"])
    guard allowed.status == 0 else { return .error(allowed.complaint) }
    let result = try bed.asStranger(["stop-all"])
    return result.status == 4 ? .pass : .fail("status \(result.status): \(result.complaint)")
  }

  private static func names(_ bed: TestBed) throws -> Verdict {
    let image = try bed.image
    for name in [
      "../x", "..", ".", "/", "/etc", "a/b", "a/../b", "A", "a b", "a\n", "a\u{1b}[31m", "-x", "1a",
      "a.b", "a%00",
      String(repeating: "a", count: 33), String(repeating: "a", count: 5000), "ä",
    ] {
      let result = try bed.slicectl(["create", "--image", image, "--no-start", name])
      guard result.status != 0 else { return .fail("create took the name '\(name)'") }
    }
    // The client refuses them; the supervisor must as well, for whoever speaks to it without one.
    for name in ["../x", "/etc", "a/b", "", "A"] {
      if let taken = try taken(bed, name: name) {
        return .fail("the supervisor took the name '\(name)': \(taken)")
      }
    }
    return .pass
  }

  /// Asks the supervisor itself for a slice, which is not started, and removes it where it was made.
  /// - Returns: the beginning of its reply; nil: it has refused.
  private static func taken(
    _ bed: TestBed, name: String, settings: String = "{}"
  ) throws -> String? {
    let call =
      #"{"method":"org.sliceruntime.Slices.Create","parameters":{"name":"\#(name)","spec":{"image":"minimal","environment":[],"restart":"no","settings":\#(settings),"mounts":[],"allowUnenforced":false},"start":false}}"#
    let reply = try RawClient(bed.tools.socket).exchange(call)
    if reply.contains("\"error\""), !reply.contains("\"slice\":{") { return nil }
    let removal =
      #"{"method":"org.sliceruntime.Slices.Destroy","parameters":{"name":"\#(name)","force":true}}"#
    _ = try RawClient(bed.tools.socket).exchange(removal)
    return String(reply.prefix(200))
  }

  private static func values(_ bed: TestBed) throws -> Verdict {
    let image = try bed.image
    for setting in [
      "memory.max=-1", "memory.max=99999999999999999999999", "memory.max=18446744073709551617",
      "pids.max=-1",
      "cpu.max=0", "cpu.weight=0", "cpu.weight=4294967297", "lease=-1s", "net.mode=host",
      "cgroup=/", "uid=0",
      "rootfs=/", "memory.max=1G\nmemory.min=1G", "=", "memory.max",
    ] {
      let made = try bed.makeSlice(image: image, settings: [setting], service: nil)
      if case .success = made { return .fail("create took --set '\(setting)'") }
    }
    // The client has looked at these already; the supervisor must do so itself.
    let name = "\(bed.tag)-values"
    for (key, value) in [
      ("memory.max", "-1"), ("memory.max", "18446744073709551617"), ("cpu.weight", "0"),
      ("pids.max", "0x10"), ("net.mode", "host"), ("uid", "0"),
    ] {
      if let taken = try taken(bed, name: name, settings: #"{"\#(key)":"\#(value)"}"#) {
        return .fail("the supervisor took \(key)=\(value): \(taken)")
      }
    }
    guard try taken(bed, name: name) != nil else {
      return .error("the control: the supervisor takes a slice without settings neither")
    }
    // That the client does take one that can be.
    switch try bed.makeSlice(image: image, settings: ["cpu.weight=100"], service: nil) {
    case .success(let slice): try bed.destroy(slice)
    case .failure(let error) where error.code == .unenforceable: break
    case .failure(let error): return .error("the control: \(error.message)")
    }
    return .pass
  }

  /// 64 MiB without an end, of which the supervisor must not keep much, nor wait for the rest.
  private static func largeMessage(_ bed: TestBed) throws -> Verdict {
    let client = try RawClient(bed.tools.socket)
    let part = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
    var sent = 0
    while sent < 64 << 20, client.send(part) { sent += part.count }
    guard sent < 64 << 20 else { return .fail("it read 64 MiB of a message that has no end") }
    let other = try bed.slicectl(["list"], seconds: 10)
    return other.status == 0 ? .pass : .fail("others are not served: \(other.complaint)")
  }

  /// As one user of the host. Bounded so that it does no harm elsewhere: 400 connections for some seconds.
  private static func manyConnections(_ bed: TestBed) throws -> Verdict {
    var clients: [RawClient] = []
    for _ in 0..<400 {
      guard let client = try? RawClient(bed.tools.socket) else { break }
      guard client.send(Array(#"{"method":"org.slice"#.utf8)) else { continue }
      clients.append(client)
    }
    guard clients.count > 8 else { return .error("only \(clients.count) connections were had") }
    // The suite's user has used up its connections, where it isn't root, so another one asks.
    var served = try bed.slicectl(["list"], as: TestBed.stranger)
    if served.status == 125 || served.errors.contains("no permission") {
      served = try bed.slicectl(["list"], seconds: 20)
    }
    clients = []
    guard served.status == 0 else { return .fail("others are not served: \(served.complaint)") }
    let after = try bed.slicectl(["list"], seconds: 20)
    return after.status == 0 ? .pass : .fail("nobody is served afterwards: \(after.complaint)")
  }

  /// The client is given a terminal, on which it must not write an escape of the slice's.
  private static func escapes(_ bed: TestBed) throws -> Verdict {
    let escape = "\u{1b}]2;stolen\u{7}\u{1b}[31m"
    let slice: String
    switch try bed.makeSlice(image: bed.image, service: ["print", "printed\(escape)"]) {
    case .success(let name): slice = name
    case .failure(let error): return .error(error.message)
    }
    var shown = ""
    for _ in 0..<100 {
      shown = try bed.slicectl(["logs", slice], terminal: true).output
      if shown.contains("printed") { break }
      usleep(50_000)
    }
    guard shown.contains("printed") else {
      return .error("the log does not have what the slice printed")
    }
    for verb in [
      ["logs", slice], ["inspect", slice], ["list"], ["events"], ["inspect", "x\(escape)"],
    ] {
      let result = try bed.slicectl(verb, terminal: true)
      if (result.output + result.errors).contains("\u{1b}]") {
        return .fail("slicectl \(verb[0]) writes a control sequence of the slice's to a terminal")
      }
    }
    let plain = try bed.slicectl(["logs", slice]).output
    try bed.destroy(slice)
    return plain.contains("\u{1b}]")
      ? .pass : .error("the control: elsewhere than on a terminal the log is not as it was written")
  }
}
