/// What probes are told of the world outside.
extension TestBed {
  /// `NAME=ARGUMENT`, as slice-probe takes it.
  func text(_ attempt: Attempt) throws -> String {
    "\(attempt.name)=\(try value(attempt.argument))"
  }

  /// Those of which it is known what to tell them; the others' cases say why not.
  func texts(_ attempts: [Attempt]) throws -> [String] {
    var texts: [String] = []
    for attempt in attempts {
      do { texts.append(try text(attempt)) } catch is Unenforceable { continue }
    }
    return texts
  }

  private func value(_ argument: Argument) throws -> String {
    switch argument {
    case .none: return ""
    case .text(let text): return text
    case .hostFile: return secret
    case .hostTag:
      _ = try hostPID.get()
      return "\(tag)-host"
    case .neighbourTag:
      _ = try neighbourPID()
      return "\(tag)-neighbour"
    case .neighbourName:
      guard adapter == nil else {
        throw Unenforceable(reason: "a container of another runtime, whose name is not known")
      }
      return try neighbour.get()
    case .hostPID: return "\(try hostPID.get())"
    case .hostNamespaces:
      return ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]
        .compactMap { File.link("/proc/self/ns/\($0)") }.joined(separator: ",")
    case .slicePID: return "\(try insidePID())"
    case .sliceCgroup:
      let pid = try insidePID()
      guard let place = adapter == nil ? File.limits(of: pid) : File.cgroup(of: pid) else {
        throw SuiteError("no cgroup v2 is mounted")
      }
      return place
    }
  }

  /// The number on the host of a process inside.
  private func insidePID() throws -> Int32 {
    if adapter == nil, let attackedSlice { return try initProcess(of: attackedSlice) }
    return try neighbourPID()
  }

  private func neighbourPID() throws -> Int32 {
    adapter == nil ? try initProcess(of: neighbour.get()) : try neighbourContainer.get()
  }

  /// The number on the host of a slice's PID 1.
  func initProcess(of slice: String) throws -> Int32 {
    let row = try json(["list"]).array?.first { $0["name"].string == slice }
    guard case .integer(let pid)? = row?["pid"] else { throw SuiteError("\(slice) does not run") }
    return Int32(pid)
  }
}
