/// One attack, and what must come of it.
public struct ConformanceCase: Sendable {
  /// `CONCERN.ATTACK`, stable for ever: scripts select and compare by it.
  public let id: String
  /// One sentence: what must hold.
  public let statement: String
  /// A CVE, manual page or kernel document that the attack is from.
  public let reference: String
  /// Each is needed: without any one of them the attack works, or is seen to be open, and the case fails.
  public let defences: [Defence]
  /// Any one of these would hold the attack as well.
  public let depth: [Defence]
  let check: Check

  /// `CONCERN`.
  public var concern: String { String(id.prefix { $0 != "." }) }

  enum Check: Sendable {
    /// A probe that is run on every way into a slice, and its control.
    case probe(Attempt, Control)
    case script(@Sendable (TestBed) throws -> Verdict)
  }

  /// A case of one probe.
  /// - Parameter name: the probe's name; nil: the case's own id.
  static func probe(
    _ id: String, _ statement: String, _ reference: String, needs: [Defence] = [],
    depth: [Defence] = [], probe name: String? = nil, _ argument: Argument = .none,
    control: Control = .bare(nil)
  ) -> ConformanceCase {
    ConformanceCase(
      id: id, statement: statement, reference: reference, defences: needs, depth: depth,
      check: .probe(Attempt(name: name ?? id, argument: argument), control))
  }

  /// A case that is more than one probe.
  static func script(
    _ id: String, _ statement: String, _ reference: String, needs: [Defence] = [],
    depth: [Defence] = [], _ body: @escaping @Sendable (TestBed) throws -> Verdict
  ) -> ConformanceCase {
    ConformanceCase(
      id: id, statement: statement, reference: reference, defences: needs, depth: depth,
      check: .script(body))
  }
}

/// One probe with its argument.
struct Attempt: Sendable, Hashable {
  let name: String
  let argument: Argument
}

/// What a probe is told of the world outside its slice.
enum Argument: Sendable, Hashable {
  case none
  case text(String)
  /// A file that only the host has.
  case hostFile
  /// What a process of the host answers to: its IPC keys, its abstract socket, its last argument.
  case hostTag
  /// The same of a process in another slice.
  case neighbourTag
  case neighbourName
  /// On the host.
  case hostPID
  /// Of the host's own namespaces, as readlink gives them.
  case hostNamespaces
  /// PID 1 of the attacked slice, seen from the host.
  case slicePID
  /// The attacked slice's cgroup with the limits, a path of the host.
  case sliceCgroup
}

/// Where a probe must be seen to work, so that its failure in a slice says something. With nil it gets
/// the same argument.
enum Control: Sendable, Hashable {
  /// In bare namespaces, as root of the host.
  case bare(Argument?)
  /// On the host as it is.
  case host(Argument?)

  var argument: Argument? {
    switch self {
    case .bare(let argument), .host(let argument): argument
    }
  }
}
